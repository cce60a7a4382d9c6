// Package journal decides what a run that was killed is believed to have done.
//
// A journal is a file of lines, each a checksum and a record in JSON. A last line that was
// cut short is as if it were not there; a journal that is damaged anywhere else counts for
// nothing. What the records say is the caller's business.
package journal
