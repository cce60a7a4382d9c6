// Command write decides what scripts get to try the program on: it makes a checkpoint
// with random weights in a folder, and random token ids beside it.
//
//	write KIND DIR
package main
