// Package tokenizer decides which token ids a text becomes. They must be those that the model
// was trained on.
//
// It reads a Hugging Face tokenizer.json with a BPE model, byte-level or with byte fallback,
// or a SentencePiece tokenizer.model of type BPE. If a file asks for something that changes
// ids and is not implemented here, the package returns an error that names it. It never
// passes over such a thing, because wrong ids would look like a bad conversion.
package tokenizer
