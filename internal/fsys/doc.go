// Package fsys decides what the program asks of a file system where it writes, and whom it
// trusts there.
//
// It asks for few calls, so that a test can fail any one of them (faultfs). What is written
// lies in folders that somebody else may have prepared. So a folder is entered once, and
// everything in it is reached from there by single names. No link is followed, and what has
// another owner, or is of another kind than it should be, is refused.
package fsys
