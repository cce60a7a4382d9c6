// Command write decides on which models scripts try the program. It makes a checkpoint with
// random weights in a folder, and random token ids beside it.
//
//	write KIND DIR
package main
