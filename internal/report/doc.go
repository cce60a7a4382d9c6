// Package report decides how numbers are drawn for people: as heat maps, as lines of blocks
// and marks, as changes in percent.
package report
