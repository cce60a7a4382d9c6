package export

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/gguf"
)

// TestMetadata: of a config.json come the keys that the converter of llama.cpp writes, in its
// order (../llamacpp/testdata/make.py). What the source passes through is that file's own.
func TestMetadata(t *testing.T) {
	const folder = "../llamacpp/testdata/"
	for file, dtype := range map[string]checkpoint.DType{
		"deepseek_v3.f32": checkpoint.F32, "deepseek_v3.f16": checkpoint.F16, "deepseek_v3.bf16": checkpoint.BF16, "deepseek_v3.q8_0": checkpoint.Q8_0,
		"experts.f32": checkpoint.F32, "experts.q8_0": checkpoint.Q8_0,
	} {
		stem, _, _ := strings.Cut(file, ".")
		config, err := os.ReadFile(folder + stem + "/config.json")
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(folder + file + ".gguf")
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
				t.Errorf("%s: pair %d is %.80v, want %.80v", file, i, got[min(i, len(got)-1)], p)
			}
		}
		if len(got) != len(want.Metadata) {
			t.Errorf("%s: %d pairs, want %d", file, len(got), len(want.Metadata))
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
