package gguf

import "fmt"

// Type says how the numbers of a tensor are stored. Its values are those of enum ggml_type
// (ggml-org/llama.cpp: ggml/include/ggml.h, b11434).
type Type uint32

// These are the types whose numbers the program reads.
const (
	F32  Type = 0
	F16  Type = 1
	Q4_0 Type = 2
	Q4_1 Type = 3
	Q5_0 Type = 6
	Q5_1 Type = 7
	Q8_0 Type = 8
	Q4_K Type = 12
	Q5_K Type = 13
	Q6_K Type = 14
	BF16 Type = 30
)

// blocks says how a type is stored: so many numbers take so many bytes.
type blocks struct {
	name    string
	numbers int64
	bytes   int64
	decode  func(dst []float32, block []byte) // fills dst with one block; nil for types that are not read
}

// types lists every type that a file may have (ggml-org/llama.cpp:
// gguf-py/gguf/constants.py, GGML_QUANT_SIZES, b11434). Types that are not read are listed as
// well, so that they can be refused by name.
var types = map[Type]blocks{
	F32: {"F32", 1, 4, decodeF32}, F16: {"F16", 1, 2, decodeF16}, BF16: {"BF16", 1, 2, decodeBF16},
	Q4_0: {"Q4_0", 32, 18, decodeQ4_0}, Q4_1: {"Q4_1", 32, 20, decodeQ4_1},
	Q5_0: {"Q5_0", 32, 22, decodeQ5_0}, Q5_1: {"Q5_1", 32, 24, decodeQ5_1}, Q8_0: {"Q8_0", 32, 34, decodeQ8_0},
	Q4_K: {"Q4_K", 256, 144, decodeQ4_K}, Q5_K: {"Q5_K", 256, 176, decodeQ5_K}, Q6_K: {"Q6_K", 256, 210, decodeQ6_K},
	9: {"Q8_1", 32, 40, nil}, 10: {"Q2_K", 256, 84, nil}, 11: {"Q3_K", 256, 110, nil}, 15: {"Q8_K", 256, 292, nil},
	16: {"IQ2_XXS", 256, 66, nil}, 17: {"IQ2_XS", 256, 74, nil}, 18: {"IQ3_XXS", 256, 98, nil}, 19: {"IQ1_S", 256, 50, nil},
	20: {"IQ4_NL", 32, 18, nil}, 21: {"IQ3_S", 256, 110, nil}, 22: {"IQ2_S", 256, 82, nil}, 23: {"IQ4_XS", 256, 136, nil},
	24: {"I8", 1, 1, nil}, 25: {"I16", 1, 2, nil}, 26: {"I32", 1, 4, nil}, 27: {"I64", 1, 8, nil}, 28: {"F64", 1, 8, nil},
	29: {"IQ1_M", 256, 56, nil}, 34: {"TQ1_0", 256, 54, nil}, 35: {"TQ2_0", 256, 66, nil}, 39: {"MXFP4", 32, 17, nil},
}

// String returns the name that llama.cpp has for the type.
func (t Type) String() string {
	if b, ok := types[t]; ok {
		return b.name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// Plain reports whether the type is a float that stands for itself, in no block.
func (t Type) Plain() bool { return t == F32 || t == F16 || t == BF16 }

// Readable reports whether the program reads numbers of the type.
func (t Type) Readable() bool { return types[t].decode != nil }

// FloatSize returns the number of bytes that a number takes in what Tensor.Floats gives.
func (t Type) FloatSize() int64 {
	if t.Plain() {
		return types[t].bytes
	}
	return 4
}
