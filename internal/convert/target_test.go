package convert_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// TestTarget: what is written for one engine keeps the ε of the source and the
// scale of its residual stream, or for llama.cpp raises both, and is lossless at
// the ε that this engine has in its norms of latents, and at no other.
func TestTarget(t *testing.T) {
	for _, q := range []layout.QLora{layout.QLoraNone, layout.QLoraExact, 32} {
		for _, e := range engine.All.Each() {
			m := testmodel.Llama{KVHeads: 1, Eps: 1e-4}.Open(t)
			out := converted(t, m, plan.Request{RopeDims: 8, Rank: 16, QLora: new(q), Target: e})
			gain := 1.0
			if e.RunsGGUF() {
				gain = 16
			}
			eps := gain * gain * 1e-4
			if want := e.LatentEps(eps); out.NormEps != eps || out.MLA.LatentEps != want {
				t.Errorf("%s: ε %g and of latents %g, want %g and %g", e, out.NormEps, out.MLA.LatentEps, eps, want)
			}
			ids := testmodel.Tokens(100, m.Vocab, 4)
			want := logits(t, m, ids)
			if off := worst(want, logits(t, out, ids)); !(off < 1e-3) {
				t.Errorf("%s, q-lora %d: logits are off by %g", e, q, off)
			}
			out.MLA.LatentEps = 2 * out.MLA.LatentEps
			if off := worst(want, logits(t, out, ids)); off < 0.1 {
				t.Errorf("%s: the ε of latents makes no difference: %g", e, off)
			}
			if a, b := m.Source.Lookup("model.embed_tokens.weight"), out.Source.Lookup("model.embed_tokens.weight"); gain*firstValue(t, a) != firstValue(t, b) {
				t.Errorf("%s: the embedding is not %g times the source's", e, gain)
			}
		}
	}
}

// TestRoundedActivations: llama.cpp multiplies weights of Q8_0 with activations of
// eight bits, in blocks of 32 with a scale in F16. The attention input, which the
// linear norm of the latent makes small, is large enough for that scale.
func TestRoundedActivations(t *testing.T) {
	m := testmodel.Llama{KVHeads: 1, Hidden: 256, Eps: 1e-5}.Open(t)
	out := converted(t, m, plan.Request{RopeDims: 8, Rank: 16, QLora: new(layout.QLoraExact), Target: engine.LlamaCPP})
	gamma := make([]float64, m.Hidden)
	if err := checkpoint.Read(out.Source.Lookup("model.layers.0.input_layernorm.weight"), 0, gamma); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 5))
	for from := 0; from < len(gamma); from += 32 {
		largest := 0.0
		for _, g := range gamma[from : from+32] {
			largest = max(largest, math.Abs(g*rng.NormFloat64()))
		}
		scale := largest / 127
		if off := math.Abs(checkpoint.Round(scale, checkpoint.F16)/scale - 1); off > 0.01 {
			t.Errorf("the scale %g is off by %.1f %%", scale, 100*off)
		}
	}
}

// firstValue is the first value of a tensor.
func firstValue(t *testing.T, x *checkpoint.Tensor) float64 {
	t.Helper()
	v := make([]float64, 1)
	if err := checkpoint.Read(x, 0, v); err != nil {
		t.Fatal(err)
	}
	return v[0]
}

// TestDTypes converts checkpoints of every type, and of mixed ones, to every
// type: what is written has the type that was asked for and stays near.
func TestDTypes(t *testing.T) {
	types := []checkpoint.DType{checkpoint.F64, checkpoint.F32, checkpoint.BF16, checkpoint.F16}
	names := map[checkpoint.DType]string{checkpoint.F64: "float64", checkpoint.F32: "float32", checkpoint.BF16: "bfloat16", checkpoint.F16: "float16"}
	for _, from := range types {
		for _, norms := range []checkpoint.DType{from, checkpoint.F32} {
			m := testmodel.Llama{KVHeads: 1, DType: from, Norms: norms}.Open(t)
			ids := testmodel.Tokens(100, m.Vocab, 4)
			source := logits(t, m, ids)
			for _, rule := range []plan.DTypeRule{"", "F32", "BF16", "F16"} {
				want, wantNorm := from, norms
				switch {
				case rule != "":
					want, wantNorm = checkpoint.DType(rule), checkpoint.DType(rule)
				default:
					want, wantNorm = noF16(want), noF16(wantNorm)
				}
				out := filepath.Join(t.TempDir(), "out")
				if _, err := convertTo(m, out, plan.Request{RopeDims: 8, Rank: 16, DType: rule}, convert.Options{}); err != nil {
					t.Fatal(err)
				}
				res := testmodel.Open(t, out)
				for _, x := range res.Source.Tensors() {
					expected := want
					if len(x.Shape) == 1 {
						expected = wantNorm
					}
					if x.DType != expected {
						t.Errorf("%s, norms %s, to %q: %s is of type %s", from, norms, rule, x.Name, x.DType)
					}
				}
				var config map[string]any
				text, err := os.ReadFile(filepath.Join(out, checkpoint.ConfigFile))
				if err == nil {
					err = json.Unmarshal(text, &config)
				}
				if err != nil || config["torch_dtype"] != names[want] {
					t.Errorf("%s to %q: torch_dtype %v, %v", from, rule, config["torch_dtype"], err)
				}
				most := 1e-3
				if want == checkpoint.BF16 || want == checkpoint.F16 || wantNorm == checkpoint.BF16 || wantNorm == checkpoint.F16 {
					most = 0.4 // of logits up to 10
				}
				if off := worst(source, logits(t, res, ids)); !(off < most) || math.IsNaN(off) {
					t.Errorf("%s, norms %s, to %q: logits are off by %g", from, norms, rule, off)
				}
			}
		}
	}
}

// noF16 is what becomes of a type that nothing is asked of.
func noF16(t checkpoint.DType) checkpoint.DType {
	if t == checkpoint.F16 {
		return checkpoint.BF16
	}
	return t
}
