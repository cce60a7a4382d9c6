package plan_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// TestAim: what follows from an engine is chosen unless the user has, and what it
// would not load is refused before anything is searched for.
func TestAim(t *testing.T) {
	two, lite := testmodel.Llama{KVHeads: 2}.Open(t), testmodel.Llama{KVHeads: 2, Layers: 26}.Open(t)
	for name, c := range map[string]struct {
		o     plan.Options
		lite  bool
		given string
		want  layout.QLora
		err   any
	}{
		"all":                     {o: plan.Options{Target: engine.All}},
		"no word":                 {o: plan.Options{}},
		"vLLM":                    {o: plan.Options{Target: engine.VLLM}},
		"llama.cpp":               {o: plan.Options{Target: engine.LlamaCPP}, want: layout.QLoraExact},
		"llama.cpp, lite":         {o: plan.Options{Target: engine.LlamaCPP}, lite: true},
		"a rank":                  {o: plan.Options{Target: engine.LlamaCPP, QLora: 8}, given: "q-lora", want: 8},
		"none asked for":          {o: plan.Options{Target: engine.LlamaCPP}, given: "q-lora", err: new(*engine.RefusedError)},
		"a rank, lite":            {o: plan.Options{Target: engine.LlamaCPP, QLora: 8}, lite: true, given: "q-lora", err: new(*engine.RefusedError)},
		"another form":            {o: plan.Options{Layout: layout.FormReference, Target: engine.HF}, given: "target", err: new(*plan.UsageError)},
		"another form, no word":   {o: plan.Options{Layout: layout.FormReference, Target: engine.All}},
		"without a latent at all": {o: plan.Options{Method: mla.MethodGroupedMean, Target: engine.HF}, given: "target", err: new(*plan.UsageError)},
	} {
		m := two
		if c.lite {
			m = lite
		}
		err := c.o.Aim(m, func(flag string) bool { return flag == c.given })
		switch {
		case c.err == nil && (err != nil || c.o.QLora != c.want):
			t.Errorf("%s: q-lora %d, %v; want %d", name, c.o.QLora, err, c.want)
		case c.err != nil && (err == nil || !errors.As(err, c.err)):
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAdvice: for all engines, what stops one and what makes it slow; for one,
// whatever there is.
func TestAdvice(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	large := newPlan(t, testmodel.Llama{Heads: 8, KVHeads: 8, HeadDim: 32, Hidden: 256}.Open(t), t.TempDir()+"/out", plan.Options{Rank: 64}).Advice()
	if len(large) != 1 || !strings.HasPrefix(large[0], "llama.cpp will not load this: ") || !strings.HasSuffix(large[0], "; vllm, sglang have no GPU kernel for its sizes (--pad-to-kernel)") {
		t.Errorf("a cache that padding saves some of: %q", large)
	}
	for target, want := range map[engine.Engine][]string{
		engine.All:    {"llama.cpp will not load this: "}, // padded, the cache would grow
		engine.HF:     nil,
		engine.SGLang: {"sglang: no GPU kernel", "sglang: it serves a model of float32"},
	} {
		p := newPlan(t, m, t.TempDir()+"/out", plan.Options{Target: target})
		got := p.Advice()
		for i, start := range want {
			if len(got) != len(want) || !containsStart(got, start) {
				t.Errorf("%s: %d: %q, want %q", target, i, got, start)
			}
		}
		if loaders := strings.Join(p.Loaders(), " "); target == engine.All && loaders != "hf vllm sglang" {
			t.Errorf("loaded by %s", loaders)
		}
	}
}

func containsStart(lines []string, start string) bool {
	for _, line := range lines {
		if strings.HasPrefix(line, start) {
			return true
		}
	}
	return false
}
