// Package llamacpp decides what the keys and tensors of a GGUF file mean: how llama.cpp names,
// orders and splits what Hugging Face checkpoints hold.
//
// Read presents a GGUF file as the checkpoint that it was made of. Tensors have their names,
// shapes and order of rows again (tensors.go, views.go), and the text of config.json
// (config.go) and the files of the tokenizer (vocabulary.go) say what the keys said. So
// nothing else in the program knows that a model came from a GGUF file. Tensors are not
// copied: they are read from the file, block by block, when somebody reads them.
//
// What was read of llama.cpp was read in version b11434 of ggml-org/llama.cpp. The tests
// compare files that its converter has made with what they were made of (testdata/make.py).
package llamacpp
