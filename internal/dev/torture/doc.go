// Package torture decides what a conversion must survive, which design §12 promises: its
// tests fail and kill conversions at every call, by every signal and at random, resume
// and damage them, and nothing may be lost, half-written or differ. A short form runs
// with the other tests; make torture runs all of it and prints what was tried.
package torture
