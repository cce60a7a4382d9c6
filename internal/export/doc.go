// Package export decides what a GGUF file says of a converted model: the keys that llama.cpp
// reads, in which types tensors are written, and how Ollama is told of the file.
//
// Keys are those that llama.cpp's own converter writes for a DeepSeek-V3 (ggml-org/llama.cpp:
// conversion/deepseek.py and conversion/base.py, b11434), and so is what is taken from a
// tokenizer.json or tokenizer.model, from a model card and from settings beside it. What a GGUF
// file says of itself is passed through to the file that is made of it, untouched.
package export
