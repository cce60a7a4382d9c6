// Package journal decides what a run that was killed is believed to have done.
//
// A journal is a file of lines, each with a checksum and a record in JSON. A last line that
// was cut short is ignored. A journal that is damaged anywhere else is not believed at all.
// The caller decides what the records mean.
package journal
