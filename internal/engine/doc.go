// Package engine decides whether an engine loads a DeepSeek-V3 as what it is.
//
// It knows what Transformers, vLLM, SGLang, llama.cpp, mlx-lm and Ollama demand of a
// checkpoint, and what they silently misread: a table of rules, one for each trap (design
// §6). Another table has the backends of engines that are made for certain sizes. It judges
// by the configuration, by the names, shapes and types of tensors, and by the files beside
// them. It reads no weight and runs no engine. Plans, model cards and the command check share
// the rules; design §15 says how to add one.
package engine
