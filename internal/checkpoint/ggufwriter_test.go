package checkpoint

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/gguf"
	"github.com/mha2mla/mha2mla/internal/llamacpp"
)

// TestGGUFWriter: of the same numbers, keys and types the writer makes the file that the
// converter of llama.cpp makes, byte for byte (../llamacpp/testdata/make.py). The two parts of
// kv_b_proj are read from what that converter has written without rounding.
func TestGGUFWriter(t *testing.T) {
	const folder = "../llamacpp/testdata/deepseek_v3"
	source, err := Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	names, values := make(map[string]string), make(map[string][]float64) // by the names of llama.cpp
	add := func(tensor *Tensor, name string) {
		stored, _ := llamacpp.Name(name)
		names[stored], values[stored] = name, make([]float64, tensor.Elements())
		if err := Read(tensor, 0, values[stored]); err != nil {
			t.Fatal(err)
		}
	}
	for _, tensor := range source.Tensors() {
		add(tensor, tensor.Name)
	}
	for _, stored := range readRaw(t, folder+".f32.gguf").Tensors {
		layer, part, _ := strings.Cut(strings.TrimPrefix(stored.Name, "blk."), ".")
		if hf := map[string]string{"attn_k_b.weight": llamacpp.ContentKeys, "attn_v_b.weight": llamacpp.Values}[part]; hf != "" {
			raw := stored.Raw()
			add(&Tensor{Name: stored.Name, DType: F32, Shape: stored.Shape, end: raw.Size(), view: raw}, "model.layers."+layer+"."+hf+".weight")
		}
	}
	for suffix, dtype := range map[string]DType{".f32": F32, ".f16": F16, ".bf16": BF16, ".q8_0": Q8_0} {
		t.Run(string(dtype), func(t *testing.T) {
			want := readRaw(t, folder+suffix+".gguf")
			var specs []Spec
			for _, stored := range want.Tensors {
				specs = append(specs, Spec{names[stored.Name], DType(stored.Type.String()), stored.Shape})
			}
			path := filepath.Join(t.TempDir(), "out.gguf")
			w := createGGUF(t, path, specs, want.Metadata)
			for i, stored := range slices.Backward(want.Tensors) { // the order in which they are written says nothing
				writeInPieces(t, w.Tensor(specs[i].Name), values[stored.Name])
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(folder + suffix + ".gguf")
			if err != nil || !bytes.Equal(got, text) {
				t.Errorf("the files differ, or %v", err)
			}
			digests, err := Digest(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			for name, sum := range w.Digests().Tensors {
				if digests.Tensors[name] != sum {
					t.Errorf("%q: the digest is %s as it is written and %s as it is read", name, sum, digests.Tensors[name])
				}
			}
			if w.Digests().Header != digests.Header {
				t.Error("the digests of the header differ")
			}
		})
	}
}

// TestWriteBlocks: values that Q8_0 has no room for are refused with their position.
func TestWriteBlocks(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(-1), 1e7} {
		w := createGGUF(t, filepath.Join(t.TempDir(), "out.gguf"), []Spec{{"lm_head.weight", Q8_0, []int64{2, 64}}}, nil)
		values := make([]float64, 128)
		values[100] = bad
		out := w.Tensor("lm_head.weight")
		err := out.WriteFloats(values[:70])
		if err == nil {
			err = out.WriteFloats(values[70:])
		}
		refused, ok := err.(*ValueError)
		if !ok || !slices.Equal(refused.Index, []int64{1, 36}) {
			t.Errorf("%g: %v", bad, err)
		}
		if err := w.Abandon(); err != nil {
			t.Error(err)
		}
	}
}

// createGGUF begins a file.
func createGGUF(t *testing.T, path string, specs []Spec, metadata gguf.Metadata) *Writer {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewGGUFWriter(file, specs, metadata)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// writeInPieces writes a tensor in pieces that are no blocks.
func writeInPieces(t *testing.T, out *TensorWriter, values []float64) {
	t.Helper()
	for piece := range slices.Chunk(values, 13) {
		if err := out.WriteFloats(piece); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// readRaw reads a GGUF file as it is stored.
func readRaw(t *testing.T, path string) *gguf.File {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Read(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}
