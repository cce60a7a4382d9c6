// Package torture decides what a conversion must survive, as design §12 promises. Its tests
// fail and kill conversions at every call, by every signal and at random. They resume
// conversions and damage their files. No file may be lost or half-written, and no result may
// differ. A short form runs with the other tests; make torture runs all of it and prints
// what it has tried.
package torture
