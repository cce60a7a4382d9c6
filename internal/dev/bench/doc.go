// Command bench decides with what the program is compared. It measures the program beside
// others that do the same work, as far as they are installed, and prints the ratios. Both
// sides take turns in one run. It prints processor time beside time on the clock, because
// other work on the machine changes processor time less.
//
//	bench [flags] [part …]
package main
