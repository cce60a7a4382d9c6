// Package faultfs decides which call of a file system fails in a test.
//
// It passes calls on to the operating system but for one, which fails, or is the last that
// the process makes.
package faultfs
