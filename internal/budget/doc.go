// Package budget decides how many layers are under way at a time, within what memory and on
// how many processors.
package budget
