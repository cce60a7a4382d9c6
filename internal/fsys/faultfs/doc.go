// Package faultfs decides which call of a file system fails in a test.
//
// It passes all calls on to the operating system but one. That one fails, or the process
// dies in it.
package faultfs
