package export

import (
	"bytes"
	"os"
	"reflect"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/gguf"
)

// TestMetadata: of a config.json come the keys that the converter of llama.cpp writes, in its
// order (../llamacpp/testdata/make.py). What the source passes through is that file's own.
func TestMetadata(t *testing.T) {
	const folder = "../llamacpp/testdata/deepseek_v3"
	config, err := os.ReadFile(folder + "/config.json")
	if err != nil {
		t.Fatal(err)
	}
	for suffix, dtype := range map[string]checkpoint.DType{".f32": checkpoint.F32, ".f16": checkpoint.F16, ".bf16": checkpoint.BF16, ".q8_0": checkpoint.Q8_0} {
		text, err := os.ReadFile(folder + suffix + ".gguf")
		if err != nil {
			t.Fatal(err)
		}
		want, err := gguf.Read(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Metadata(config, dtype, passed(want.Metadata, "general."), passed(want.Metadata, "tokenizer."))
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range want.Metadata {
			if i >= len(got) || !reflect.DeepEqual(got[i], p) {
				t.Errorf("%s: pair %d is %.80v, want %.80v", dtype, i, got[min(i, len(got)-1)], p)
			}
		}
		if len(got) != len(want.Metadata) {
			t.Errorf("%s: %d pairs, want %d", dtype, len(got), len(want.Metadata))
		}
	}
}

// kept keeps what it is given.
type kept []float64

func (kept) DType() checkpoint.DType          { return checkpoint.F32 }
func (k *kept) WriteFloats(v []float64) error { *k = append(*k, v...); return nil }
func (kept) Close() error                     { return nil }

// TestSplitter: two heads of two content rows and one row of values, on a latent of three.
func TestSplitter(t *testing.T) {
	var keys, values kept
	s := &Splitter{Keys: &keys, Values: &values, Rank: 3, Nope: 2, ValueD: 1}
	all := []float64{
		1, 2, 3,
		4, 5, 6,
		7, 8, 9,
		10, 20, 30,
		40, 50, 60,
		70, 80, 90,
	}
	for len(all) > 0 {
		n := min(5, len(all))
		if err := s.WriteFloats(all[:n]); err != nil {
			t.Fatal(err)
		}
		all = all[n:]
	}
	if want := (kept{1, 4, 2, 5, 3, 6, 10, 40, 20, 50, 30, 60}); !reflect.DeepEqual(keys, want) {
		t.Errorf("keys are %v, want %v", keys, want)
	}
	if want := (kept{7, 8, 9, 70, 80, 90}); !reflect.DeepEqual(values, want) {
		t.Errorf("values are %v, want %v", values, want)
	}
}
