// Package engine decides whether an engine loads a DeepSeek-V3 as what it is.
//
// It knows what Transformers, vLLM, SGLang and llama.cpp demand of a checkpoint, and what
// they silently misread: a table of rules, one for each trap (design §6). It judges by the
// configuration and by the names, shapes and types of tensors. It reads no weight and runs
// no engine. Plans, model cards and the command check share the rules; design §15 says how
// to add one.
package engine
