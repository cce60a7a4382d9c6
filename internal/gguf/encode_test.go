package gguf

import (
	"bytes"
	"math"
	"testing"
)

// TestEncode: Q8_0 is what the gguf package of llama.cpp makes of the same numbers.
func TestEncode(t *testing.T) {
	source := floatsOf(t, "encoded.f32")
	tensors := open(t, "blocks.gguf").Tensors
	want := make([]byte, len(source)/Q8Numbers*Q8Bytes)
	if _, err := tensors[len(tensors)-1].Raw().ReadAt(want, 0); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	for i := range len(source) / Q8Numbers {
		EncodeQ8_0(got[i*Q8Bytes:][:Q8Bytes], source[i*Q8Numbers:][:Q8Numbers])
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestEncodeBounds: numbers of any size come back within half a step of the scale, which F16
// rounds by 2⁻¹¹ at most, or as zero where the scale is too small for F16.
func TestEncodeBounds(t *testing.T) {
	for _, most := range []float64{0, 1e-45, 1e-38, 1e-6, 1e-3, 1, 1e4, Q8Largest} {
		src, block, back := make([]float32, Q8Numbers), make([]byte, Q8Bytes), make([]float32, Q8Numbers)
		for i := range src {
			src[i] = float32(most * math.Cos(float64(i)))
		}
		EncodeQ8_0(block, src)
		decodeQ8_0(back, block)
		for i, v := range src {
			if off := math.Abs(float64(v - back[i])); off > most*(0.5/127+0x1p-11)+127*0x1p-25 {
				t.Errorf("%g of at most %g came back as %g", v, most, back[i])
			}
		}
	}
}
