// Package family decides what a configuration and the names of tensors mean.
//
// It describes a checkpoint as one canonical decoder: pre-norm, RMSNorm, SwiGLU, RoPE on
// whole heads (design §8). What a family keeps under other names, fuses, multiplies or adds
// is folded into the weights that it hands out, so that the mathematics knows no family.
// What it cannot describe it refuses by name, and says what to use instead.
//
// Each family has a file of its own (llama.go, qwen.go, …); families.go lists them,
// refusals.go those that cannot be converted, and design §13 says how to add one. The
// package also reads what this program writes, so that it can be run: deepseek.go and
// perhead.go.
package family
