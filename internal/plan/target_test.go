package plan_test

import (
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/engine"
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

func containsStart(lines []option.Text, start string) bool {
	for _, line := range lines {
		if strings.HasPrefix(line.String(), start) {
			return true
		}
	}
	return false
}
