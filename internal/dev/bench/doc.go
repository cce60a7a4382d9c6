// Command bench decides what the program is compared with: it measures it beside what
// else does the same work, where that is there, and prints the ratios. Both sides take
// their turn in one run; processor time is told beside time on the clock, since other
// work on the machine changes that less.
//
//	bench [flags] [part …]
package main
