// Package manifest decides whether an output is still what was written, to the last byte.
//
// A manifest says where a converted checkpoint comes from, what was decided and measured,
// and the digest of everything that was read and written. manifest.go has its form,
// check.go the comparison of an output with it.
package manifest
