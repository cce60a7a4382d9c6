package convert_test

import (
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/manifest"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// madeByLlamaCPP is a folder of checkpoints, and of what the converter of llama.cpp has made of them.
const madeByLlamaCPP = "../llamacpp/testdata/"

// TestGGUF: a GGUF file has the numbers of the directory that is written of the same source in the
// same type. Vectors are single precision there, and Q8_0 rounds. The digests are those of the
// manifest.
func TestGGUF(t *testing.T) {
	m := testmodel.Open(t, madeByLlamaCPP+"llama.f16.gguf")
	for _, dtype := range []checkpoint.DType{checkpoint.F32, checkpoint.BF16, checkpoint.F16, checkpoint.Q8_0} {
		t.Run(string(dtype), func(t *testing.T) {
			dir := t.TempDir()
			wish := plan.Request{Rank: 16, RopeDims: 8, DType: plan.DTypeRule(dtype), Target: engine.LlamaCPP}
			if dtype == checkpoint.Q8_0 {
				wish.DType = plan.DTypeRule(checkpoint.F32)
			}
			for _, out := range []string{"whole", "out.gguf"} {
				if _, err := convertTo(m, filepath.Join(dir, out), wish, convert.Options{}); err != nil {
					t.Fatal(err)
				}
				wish.DType = plan.DTypeRule(dtype)
			}
			whole, packed := testmodel.Open(t, filepath.Join(dir, "whole")), testmodel.Open(t, filepath.Join(dir, "out.gguf"))
			if *packed.MLA != *whole.MLA || packed.NormEps != whole.NormEps || float32(packed.RopeTheta) != float32(whole.RopeTheta) {
				t.Errorf("%+v, want %+v", packed, whole)
			}
			sameTensors(t, dtype, packed, whole)
			report, err := manifest.Check(t.Context(), filepath.Join(dir, "out.gguf"))
			if err != nil || len(report.Findings) > 0 || report.Tensors != len(packed.Source.Tensors())+packed.Layers {
				t.Errorf("%+v, %v", report, err)
			}
			modelfile, err := os.ReadFile(filepath.Join(dir, "out.Modelfile"))
			if err != nil || string(modelfile) != "FROM ./out.gguf\n" {
				t.Errorf("%q, %v", modelfile, err)
			}
		})
	}
}

// TestGGUFExperts: the experts of a layer lie in one tensor, and are those of the directory that is
// written of the same source, in numbers of one type or of several.
func TestGGUFExperts(t *testing.T) {
	source := testmodel.Llama{Kind: "deepseek", KVHeads: 1, Vocab: 272}.Write(t)
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		text, err := os.ReadFile(madeByLlamaCPP + "experts/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(source, name), text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	m := testmodel.Open(t, source)
	if m.MoE == nil {
		t.Fatal("the model has no experts")
	}
	for _, dtype := range []checkpoint.DType{checkpoint.F32, checkpoint.BF16} {
		dir := t.TempDir()
		wish := plan.Request{Rank: 16, RopeDims: 8, DType: plan.DTypeRule(dtype), Target: engine.LlamaCPP}
		for _, out := range []string{"whole", "out.gguf"} {
			if _, err := convertTo(m, filepath.Join(dir, out), wish, convert.Options{}); err != nil {
				t.Fatal(err)
			}
		}
		whole, packed := testmodel.Open(t, filepath.Join(dir, "whole")), testmodel.Open(t, filepath.Join(dir, "out.gguf"))
		if *packed.MoE != *whole.MoE {
			t.Errorf("%+v, want %+v", *packed.MoE, *whole.MoE)
		}
		sameTensors(t, dtype, packed, whole)
		report, err := manifest.Check(t.Context(), filepath.Join(dir, "out.gguf"))
		if err != nil || len(report.Findings) > 0 || report.Tensors >= len(whole.Source.Tensors()) {
			t.Errorf("%+v, %v", report, err)
		}
	}
}

// TestParts: a GGUF file that is split has the numbers of one that is not. Its manifest goes by its
// own name and by those of its parts. What replaces it leaves nothing of it, and does not touch
// what has a similar name.
func TestParts(t *testing.T) {
	m := testmodel.Open(t, madeByLlamaCPP+"llama.f16.gguf")
	dir, wish := t.TempDir(), plan.Request{Rank: 16, RopeDims: 8}
	out := filepath.Join(dir, "out.gguf")
	to := func(wish plan.Request, force bool) error {
		_, err := convertTo(m, out, wish, convert.Options{Force: force})
		return err
	}
	left := func() string { return strings.Join(slices.Sorted(maps.Keys(files(t, dir))), " ") }
	if err := to(wish, false); err != nil {
		t.Fatal(err)
	}
	whole := testmodel.Open(t, out)
	if err := os.WriteFile(filepath.Join(dir, "out-00003-of-00009.gguf"), []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		most int64
		want string
	}{
		{20e3, "out-00001-of-00002.gguf out-00002-of-00002.gguf out-00003-of-00009.gguf out.gguf.mha2mla.json"},
		{10e3, "out-00001-of-00004.gguf out-00002-of-00004.gguf out-00003-of-00004.gguf out-00003-of-00009.gguf out-00004-of-00004.gguf out.gguf.mha2mla.json"},
		{0, "out-00003-of-00009.gguf out.Modelfile out.gguf out.gguf.mha2mla.json"},
	} {
		wish.MaxShard = c.most
		if err := to(wish, false); !errors.As(err, new(*checkpoint.ExistsError)) {
			t.Errorf("without force: %v", err)
		}
		if err := to(wish, true); err != nil {
			t.Fatal(err)
		}
		if got := left(); got != c.want {
			t.Errorf("left %s, want %s", got, c.want)
		}
		parts, err := filepath.Glob(filepath.Join(dir, "out-*-of-0000[1-4].gguf"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range append(parts, out) {
			if report, err := manifest.Check(t.Context(), path); err != nil || len(report.Findings) > 0 {
				t.Errorf("%s: %+v, %v", filepath.Base(path), report, err)
			}
		}
		if c.most > 0 {
			sameTensors(t, checkpoint.F32, testmodel.Open(t, parts[0]), whole)
		}
	}
}

// sameTensors compares the tensors of a GGUF file with those of a directory.
func sameTensors(t *testing.T, dtype checkpoint.DType, packed, whole *family.Model) {
	t.Helper()
	for _, want := range whole.Source.Tensors() {
		got := packed.Source.Lookup(want.Name)
		if got == nil || !slices.Equal(got.Shape, want.Shape) {
			t.Fatalf("%q is %v, want %v", want.Name, got, want.Shape)
		}
		a, b := make([]float64, want.Elements()), make([]float64, want.Elements())
		if err := checkpoint.Read(got, 0, a); err != nil {
			t.Fatal(err)
		}
		if err := checkpoint.Read(want, 0, b); err != nil {
			t.Fatal(err)
		}
		largest := max(slices.Max(b), -slices.Min(b))
		for i, v := range b {
			stored := a[i]
			switch {
			case dtype == checkpoint.Q8_0 && math.Abs(stored-v) <= 0.005*largest: // a step of a block is at most a 127th
				continue
			case (len(want.Shape) == 1 || strings.HasSuffix(want.Name, family.Router)) && dtype != checkpoint.Q8_0:
				stored = checkpoint.Round(stored, dtype)
			}
			if stored != v {
				t.Fatalf("%s, number %d: %g, want %g", want.Name, i, a[i], v)
			}
		}
	}
}

// TestNoGGUF: what no GGUF file can be is refused before anything is read.
func TestNoGGUF(t *testing.T) {
	source := testmodel.Open(t, madeByLlamaCPP+"llama.f16.gguf")
	for want, c := range map[string]struct {
		out string
		r   plan.Request
	}{
		"dtype q8_0 is for GGUF":       {"out", plan.Request{DType: plan.DTypeRule(checkpoint.Q8_0)}},
		"llama.cpp and Ollama, not fo": {"out.gguf", plan.Request{Target: engine.VLLM}},
		"layout deepseek and no other": {"out.gguf", plan.Request{Method: "mha2mla"}},
	} {
		if _, err := convertTo(source, filepath.Join(t.TempDir(), c.out), c.r, convert.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
