// Package tokenizer decides which token ids a text becomes: those that the model was trained
// on.
//
// It reads a Hugging Face tokenizer.json with a BPE model, byte-level or with byte fallback,
// or a SentencePiece tokenizer.model of type BPE. What changes ids and is not implemented
// here is refused by name, never passed over: wrong ids would look like a bad conversion.
package tokenizer
