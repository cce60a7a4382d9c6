// Package tokens decides which token ids are read from a file, and how they are cut into
// windows.
//
// The extension of a file says how it is written: as JSON, as NumPy, or as plain integers.
// Every id must be in the vocabulary, and the package reads no more ids than the caller
// needs.
package tokens
