package plan_test

import (
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// TestAdvice: for all engines, what stops one and what makes it slow; for one,
// whatever there is.
func TestAdvice(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	large := newPlan(t, testmodel.Llama{Heads: 8, KVHeads: 8, HeadDim: 32, Hidden: 256}.Open(t), t.TempDir()+"/out", plan.Request{Rank: 64}).Advice()
	if len(large) != 1 || !strings.HasPrefix(large[0].String(), "llama.cpp, ollama will not load this: ") || !strings.HasSuffix(large[0].String(), "; vllm has no kernel for its sizes on NVIDIA (pad-to-kernel)") {
		t.Errorf("a cache that padding saves some of: %q", large)
	}
	for target, want := range map[engine.Engine][]string{
		engine.All:    {"llama.cpp, ollama will not load this: "}, // padded, the cache would grow
		engine.HF:     nil,
		engine.SGLang: {"sglang: only its Triton backend", "sglang: it serves a model of float32"},
	} {
		p := newPlan(t, m, t.TempDir()+"/out", plan.Request{Target: target})
		got := p.Advice()
		for i, start := range want {
			if len(got) != len(want) || !containsStart(got, start) {
				t.Errorf("%s: %d: %q, want %q", target, i, got, start)
			}
		}
		if loaders := strings.Join(p.Loaders(), " "); target == engine.All && loaders != "hf vllm sglang mlx-lm" {
			t.Errorf("loaded by %s, want hf vllm sglang mlx-lm", loaders)
		}
	}
}

// TestTiedHead: for llama.cpp a head that is the embedding is left out, and the norm before
// it takes back the factor of the residual stream. One with a factor of its own is written.
func TestTiedHead(t *testing.T) {
	for name, c := range map[string]struct {
		make   testmodel.Llama
		target engine.Engine
		tied   bool
	}{
		"tied":                {testmodel.Llama{KVHeads: 2}, engine.LlamaCPP, true},
		"tied, for Ollama":    {testmodel.Llama{KVHeads: 2}, engine.Ollama, true},
		"tied, for another":   {testmodel.Llama{KVHeads: 2}, engine.VLLM, false},
		"not tied":            {testmodel.Llama{KVHeads: 2, Untied: true}, engine.LlamaCPP, false},
		"multiplied by other": {testmodel.Llama{KVHeads: 2, Kind: "granite"}, engine.LlamaCPP, false},
	} {
		p := newPlan(t, c.make.Open(t), "out", plan.Request{Target: c.target})
		if written := find(p, family.Head) != nil; written == c.tied || p.Target.TiedHead != c.tied {
			t.Errorf("%s: head written: %v, tied in the target: %v", name, written, p.Target.TiedHead)
		}
		want := 0.0 // it is copied
		if c.tied {
			want = 1 / p.Residual
		}
		if norm := find(p, family.FinalNorm); norm.Factor != want {
			t.Errorf("%s: the last norm is multiplied by %v, want %v", name, norm.Factor, want)
		}
	}
}

func containsStart(lines []option.Text, start string) bool {
	for _, line := range lines {
		if strings.HasPrefix(line.String(), start) {
			return true
		}
	}
	return false
}
