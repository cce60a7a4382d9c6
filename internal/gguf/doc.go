// Package gguf decides which GGUF files are sound, and what the numbers in them are.
//
// GGUF is the container of llama.cpp and of the programs made of it: keys with typed values,
// then tensors, of which most are quantised. Files come from strangers. Read checks every
// count, offset, type, string and size before anything uses it, and allocates no more than a
// small multiple of what the file has (reader.go). Tensor.Floats gives the numbers of a
// tensor as plain floats, whatever blocks they are stored in (tensor.go, blocks.go).
//
// The package knows nothing of models. What keys and tensors mean is said in package
// llamacpp.
package gguf
