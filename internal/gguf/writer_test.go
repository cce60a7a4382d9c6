package gguf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"testing"

	"github.com/mha2mla/mha2mla/internal/floatconv"
)

// TestHeader: what the gguf package of llama.cpp has written is written again byte for byte
// from what was read of it.
func TestHeader(t *testing.T) {
	for _, name := range []string{"testdata/blocks.gguf", "../llamacpp/testdata/llama.f16.gguf", "../llamacpp/testdata/deepseek_v3.q8_0.gguf"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Read(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		var specs []Spec
		for _, tensor := range f.Tensors {
			specs = append(specs, Spec{tensor.Name, tensor.Type, tensor.Shape})
		}
		head, places, err := Header(f.Metadata, specs)
		if err != nil || !bytes.Equal(head, text[:f.Data]) || places[len(specs)] != int64(len(text)) {
			t.Errorf("%s: the header has %d bytes that differ from the %d of the file, or its end is not %d in %v, or %v", name, len(head), f.Data, len(text), places, err)
		}
		for i, tensor := range f.Tensors {
			if places[i] != tensor.at || specs[i].Bytes() != tensor.bytes {
				t.Errorf("%s: %q lies at %d with %d bytes, want %d with %d", name, tensor.Name, places[i], specs[i].Bytes(), tensor.at, tensor.bytes)
			}
		}
	}
}

// TestValues: every type of value reads as it was written.
func TestValues(t *testing.T) {
	want := Metadata{
		{"a", uint8(1)}, {"b", int8(-1)}, {"c", uint16(2)}, {"d", int16(-2)}, {"e", uint32(3)}, {"f", int32(-3)}, {"g", uint64(4)}, {"h", int64(-4)},
		{"i", float32(0.5)}, {"j", 0.25}, {"k", true}, {"l", "text"},
		{"m", []uint8{1}}, {"n", []int8{-1}}, {"o", []uint16{2}}, {"p", []int16{-2}}, {"q", []uint32{3}}, {"r", []int32{-3}}, {"s", []uint64{4}}, {"t", []int64{-4}},
		{"u", []float32{0.5}}, {"v", []float64{0.25}}, {"w", []bool{true, false}}, {"x", []string{"", "text"}},
	}
	head, _, err := Header(want, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Read(bytes.NewReader(head), int64(len(head)))
	if err != nil || !reflect.DeepEqual(f.Metadata, want) {
		t.Errorf("%v, %v, want %v", f, err, want)
	}
	if _, _, err := Header(Metadata{{"a", 1}}, nil); err == nil {
		t.Error("an int was written, and no file has one")
	}
}

// TestRoundTrip: files of any keys and tensors read as they were written, to the last number.
func TestRoundTrip(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		var keys Metadata
		for i := range rng.IntN(5) {
			values := []any{rng.Uint32(), rng.Float32(), fmt.Sprint(rng.Uint64()), make([]int32, rng.IntN(4)+1), []string{"", "▁a\x00b"}, rng.IntN(2) == 0}
			keys = append(keys, Pair{fmt.Sprintf("key.%d", i), values[rng.IntN(len(values))]})
		}
		var specs []Spec
		for i := range rng.IntN(6) {
			shape := make([]int64, 1+rng.IntN(maxDims))
			for d := range shape {
				shape[d] = 1 + rng.Int64N(5)
			}
			kind := []Type{F32, F16, BF16, Q8_0}[rng.IntN(4)]
			shape[len(shape)-1] *= types[kind].numbers
			specs = append(specs, Spec{fmt.Sprintf("tensor.%d", i), kind, shape})
		}
		text, want := written(t, rng, keys, specs)
		file, err := Read(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !reflect.DeepEqual(file.Metadata, keys) || len(file.Tensors) != len(specs) {
			t.Errorf("seed %d: %v with %d tensors, want %v with %d", seed, file.Metadata, len(file.Tensors), keys, len(specs))
		}
		for i, tensor := range file.Tensors {
			if got := (Spec{tensor.Name, tensor.Type, tensor.Shape}); !reflect.DeepEqual(got, specs[i]) || !reflect.DeepEqual(numbers(t, tensor), want[i]) {
				t.Errorf("seed %d: %v differs from %v, or its numbers do", seed, got, specs[i])
			}
		}
	}
}

// written writes a file of random numbers, and returns what they should read as.
func written(t *testing.T, rng *rand.Rand, keys Metadata, specs []Spec) (text []byte, want [][]float32) {
	t.Helper()
	head, places, err := Header(keys, specs)
	if err != nil {
		t.Fatal(err)
	}
	text = make([]byte, places[len(specs)])
	copy(text, head)
	for i, s := range specs {
		n := s.Bytes() / types[s.Type].bytes * types[s.Type].numbers
		values, data := make([]float32, n), text[places[i]:]
		for j := range values {
			values[j] = float32(1+rng.IntN(127)) / 64 // any type has these
			switch s.Type {
			case F32:
				binary.LittleEndian.PutUint32(data[4*j:], math.Float32bits(values[j]))
			case BF16:
				binary.LittleEndian.PutUint16(data[2*j:], uint16(math.Float32bits(values[j])>>16))
			case F16:
				floatconv.Encode(data[2*j:], []float64{float64(values[j])}, floatconv.Binary16)
			}
		}
		for j := 0; s.Type == Q8_0 && j < len(values); j += Q8Numbers {
			values[j] = 127.0 / 64 // so that the scale is a 64th
			EncodeQ8_0(data[j/Q8Numbers*Q8Bytes:], values[j:j+Q8Numbers])
		}
		want = append(want, values)
	}
	return text, want
}
