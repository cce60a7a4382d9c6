// Package torture holds the tests of what design §12 promises: conversions are
// failed and killed at every call, by every signal and at random, resumed and
// damaged, and nothing may be lost, half-written or differ. A short form runs with
// the other tests; make torture runs all of it and prints what was tried.
package torture
