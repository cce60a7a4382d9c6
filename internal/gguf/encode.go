package gguf

import (
	"math"

	"github.com/mha2mla/mha2mla/internal/floatconv"
)

// Numbers and bytes of a block of Q8_0, and the largest number that its scale reaches.
const (
	Q8Numbers = 32
	Q8Bytes   = 34
	Q8Largest = 65504 * 127
)

// EncodeQ8_0 stores 32 finite numbers, none beyond Q8Largest, in a block of 34 bytes
// (ggml-org/llama.cpp: ggml/src/ggml-quants.c, quantize_row_q8_0_ref, b11434).
func EncodeQ8_0(block []byte, src []float32) {
	most := float32(0)
	for _, v := range src {
		most = max(most, float32(math.Abs(float64(v))))
	}
	d := most / 127
	inverse := float32(0)
	if d > 1/math.MaxFloat32 { // the scale of smaller ones is zero, whatever stands beside it
		inverse = 1 / d
	}
	floatconv.Encode(block[:2], []float64{float64(d)}, floatconv.Binary16)
	for i, v := range src {
		block[2+i] = byte(int8(math.Round(float64(v * inverse))))
	}
}
