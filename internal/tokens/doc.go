// Package tokens decides which token ids are read from a file, and how they are cut into
// windows.
//
// The extension of a file says how it is written: JSON, NumPy, or nothing but integers. Every
// id must be of the vocabulary, and no more are read than are needed.
package tokens
