package gguf

import (
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// open reads a GGUF file of the folder of test data.
func open(t testing.TB, name string) *File {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	file, err := Read(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// floatsOf reads a file of float32.
func floatsOf(t *testing.T, name string) []float32 {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	values := make([]float32, len(raw)/4)
	decodeInto(raw, values)
	return values
}

// numbers reads all numbers of a tensor.
func numbers(t *testing.T, tensor *Tensor) []float32 {
	t.Helper()
	raw := make([]byte, tensor.Elements()*tensor.Type.FloatSize())
	if _, err := tensor.Floats().ReadAt(raw, 0); err != nil {
		t.Fatal(err)
	}
	values := make([]float32, tensor.Elements())
	for i := range values {
		switch tensor.Type {
		case F16:
			values[i] = half(raw[2*i:])
		case BF16:
			values[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(raw[2*i:])) << 16)
		default:
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	}
	return values
}

// TestBlocks: every type decodes to the very numbers that the gguf package of llama.cpp
// decodes it to (testdata/blocks.py).
func TestBlocks(t *testing.T) {
	want := floatsOf(t, "blocks.f32")
	for _, tensor := range open(t, "blocks.gguf").Tensors {
		if tensor.Name == "encoded" {
			continue
		}
		for i, v := range numbers(t, tensor) {
			if v != want[i] {
				t.Errorf("%s: number %d is %v, want %v", tensor.Name, i, v, want[i])
				break
			}
		}
		want = want[tensor.Elements():]
	}
	if len(want) > 0 {
		t.Errorf("%d numbers belong to no tensor", len(want))
	}
}

// TestSections: any part of a quantised tensor reads as that part of the whole.
func TestSections(t *testing.T) {
	for _, tensor := range open(t, "blocks.gguf").Tensors {
		whole := make([]byte, tensor.Elements()*tensor.Type.FloatSize())
		if _, err := tensor.Floats().ReadAt(whole, 0); err != nil {
			t.Fatal(err)
		}
		for from := 0; from < len(whole); from += 37 {
			for to := from; to <= len(whole); to += 101 {
				part := make([]byte, to-from)
				if _, err := tensor.Floats().ReadAt(part, int64(from)); err != nil || string(part) != string(whole[from:to]) {
					t.Fatalf("%s: bytes %d to %d differ from those of the whole, or %v", tensor.Name, from, to, err)
				}
			}
		}
		if n, err := tensor.Floats().ReadAt(make([]byte, 8), int64(len(whole)-4)); n != 4 || err != io.EOF {
			t.Errorf("%s: reading past the end gives %d bytes and %v", tensor.Name, n, err)
		}
	}
}
