package gguf

import (
	"bytes"
	"os"
	"reflect"
	"testing"
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
