package plan_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// TestPerHeadSizes: the mha2mla layout counts per KV head and latent.
func TestPerHeadSizes(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2, HeadDim: 16, Hidden: 64}.Open(t) // the source's cache has 64 floats
	for name, c := range map[string]struct {
		o    plan.Request
		want plan.Sizes
		err  string
	}{
		"defaults":           {plan.Request{}, plan.Sizes{Rank: 16, RopeDims: 2}, ""},
		"defaults, split":    {plan.Request{SVD: plan.SVDSplit}, plan.Sizes{Rank: 16, RopeDims: 2}, ""},
		"dkv":                {plan.Request{DKV: 3}, plan.Sizes{Rank: 6, RopeDims: 2}, ""},
		"rank":               {plan.Request{Rank: 10, RopeDims: 16}, plan.Sizes{Rank: 10, RopeDims: 16}, ""},
		"cache and rope":     {plan.Request{Cache: 21, RopeDims: 4}, plan.Sizes{Rank: 12, RopeDims: 4}, ""},
		"cache, split":       {plan.Request{Cache: 22, RopeDims: 4, SVD: plan.SVDSplit}, plan.Sizes{Rank: 12, RopeDims: 4}, ""},
		"more than there is": {plan.Request{Cache: 999, RopeDims: 4}, plan.Sizes{Rank: 56, RopeDims: 4}, ""},
		"cache":              {plan.Request{Cache: 21}, plan.Sizes{}, ""},
		"odd rank":           {plan.Request{Rank: 9}, plan.Sizes{}, "no multiple of 2"},
		"odd dkv, split":     {plan.Request{DKV: 3, SVD: plan.SVDSplit}, plan.Sizes{}, "no multiple of 4"},
		"rank too large":     {plan.Request{DKV: 31}, plan.Sizes{}, "above 60"},
		"dkv beyond numbers": {plan.Request{DKV: 1 << 62}, plan.Sizes{}, "above 60"},
		"odd rope":           {plan.Request{RopeDims: 3}, plan.Sizes{}, "is odd"},
		"rope too large":     {plan.Request{RopeDims: 18}, plan.Sizes{}, "above 16"},
		"nothing to split":   {plan.Request{RopeDims: 16, SVD: plan.SVDSplit}, plan.Sizes{}, "above 14"},
		"cache too small":    {plan.Request{Cache: 5}, plan.Sizes{}, "no room for two"},
		"no room beside":     {plan.Request{Cache: 12, RopeDims: 6}, plan.Sizes{}, "no room for a latent"},
		"base":               {plan.Request{Theta: 100}, plan.Sizes{}, "rope-theta goes with"},
		"threshold":          {plan.Request{Threshold: 0.1}, plan.Sizes{}, "rope-threshold goes with"},
		"padding":            {plan.Request{PadToKernel: plan.PadForTarget, LargerCache: true}, plan.Sizes{}, "pad-to-kernel goes with"},
		"query":              {plan.Request{QLora: new(layout.QLoraExact)}, plan.Sizes{}, "q-lora goes with"},
		"split, deepseek":    {plan.Request{Layout: layout.FormDeepseek, SVD: plan.SVDSplit}, plan.Sizes{}, "goes with layout mha2mla"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.o.Layout == "" {
				c.o.Layout = layout.FormReference
			}
			if c.err == "" {
				c.want.Theta = m.RopeTheta
			}
			checkSizes(t, m, c.o, c.want, c.err)
		})
	}
	c := choose(t, m, plan.Request{Layout: layout.FormReference, Cache: 21, SVD: plan.SVDSplit})
	for _, s := range c.Splits() {
		if s.Rank%4 != 0 || s.Rank < 4 || s.Rank+2*s.RopeDims > 21 || s.Theta != m.RopeTheta {
			t.Errorf("got the split %+v, want a rank for two latents of 2 KV heads and at most 21 floats", s)
		}
	}
	if n := len(c.Splits()); n != 4 { // 2, 4, 6, 8
		t.Errorf("got %d splits, want 4", n)
	}
}

func checkSizes(t *testing.T, m *family.Model, o plan.Request, want plan.Sizes, wantErr string) {
	t.Helper()
	got, err := sizes(m, o)
	switch {
	case wantErr != "":
		if !errors.As(err, new(*plan.UsageError)) || !strings.Contains(err.Error(), wantErr) {
			t.Errorf("got %v, want a usage error with %q", err, wantErr)
		}
	case err != nil || got != want:
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

// TestGroupedSizes: pooling goes to the largest divisor that fits.
func TestGroupedSizes(t *testing.T) {
	m := testmodel.Llama{Heads: 12, KVHeads: 12}.Open(t) // 16 floats a head
	for name, c := range map[string]struct {
		o    plan.Request
		want int
		err  string
	}{
		"cache":     {plan.Request{Cache: 64}, 4, ""},
		"between":   {plan.Request{Cache: 95}, 4, ""},
		"default":   {plan.Request{}, 3, ""}, // 12·4 + 4
		"dkv":       {plan.Request{DKV: 8, RopeDims: 4}, 6, ""},
		"rank":      {plan.Request{Rank: 30}, 2, ""},
		"least":     {plan.Request{Cache: 16}, 1, ""},
		"too small": {plan.Request{Cache: 15}, 0, "no room for one KV head"},
		"too large": {plan.Request{Cache: 192}, 0, "room for all 12"},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Method = mla.MethodGroupedMean
			checkSizes(t, m, c.o, plan.Sizes{KVHeads: c.want}, c.err)
		})
	}
	if _, err := sizes(testmodel.Llama{KVHeads: 1}.Open(t), plan.Request{Method: mla.MethodGroupedMean}); !errors.As(err, new(*plan.UnsupportedError)) {
		t.Errorf("one KV head: %v", err)
	}
}

// TestReadRankings: only a name of a file is read, and it must be there and fit.
func TestReadRankings(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	chosen := func(path string) error {
		_, err := plan.Choose(plan.Request{Layout: layout.FormReference, Select: rope.Strategy(path)}, m, plan.Data{})
		return err
	}
	if err := chosen("high"); err != nil {
		t.Errorf("a strategy: %v", err)
	}
	if err := chosen("none.pth"); !errors.As(err, new(*plan.UsageError)) {
		t.Errorf("no file: %v", err)
	}
	path := filepath.Join(t.TempDir(), "bad.pth")
	if err := os.WriteFile(path, []byte("\x80\x02."), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := chosen(path); !errors.As(err, new(*checkpoint.FormatError)) || !strings.Contains(err.Error(), "legacy") {
		t.Errorf("a legacy file: %v", err)
	}
	for _, text := range []string{"", ".pth", "best", "rank.pt"} {
		if _, err := plan.ParseSelect(text); err == nil {
			t.Errorf("%q was accepted, want an error", text)
		}
	}
	for _, text := range []string{"high", "a/b.pth"} {
		if s, err := plan.ParseSelect(text); err != nil || string(s) != text {
			t.Errorf("%q: %q, %v", text, s, err)
		}
	}
}

// TestReferencePlan: around the attention nothing changes, ε and types included,
// and the ranking is among the files.
func TestReferencePlan(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2, Eps: 1e-5, DType: checkpoint.F16}.Open(t)
	p := newPlan(t, m, "out", plan.Request{Layout: layout.FormReference})
	for name, want := range map[string]plan.Action{
		family.Embedding:                    plan.Copy,
		family.Head:                         plan.Copy,
		family.InLayer(0, family.DownProj):  plan.Copy,
		family.InLayer(1, family.OProj):     plan.Copy,
		family.InLayer(1, family.InputNorm): plan.Copy,
		family.InLayer(1, family.QProj):     plan.Compute,
		family.InLayer(1, family.DownKV):    plan.Compute,
	} {
		if got := find(p, name); got == nil || got.Action != want || got.DType != checkpoint.F16 {
			t.Errorf("%s: %+v, want %s in F16", name, got, want)
		}
	}
	if find(p, family.InLayer(0, family.KProj)) != nil {
		t.Error("the keys are still there")
	}
	text := string(p.Config)
	for _, want := range []string{`"LlamaForCausalLM"`, `"qk_tensor_path":"2_norm_rank.pth"`, `"low_rank":4`, `"head_dim": 8`, `"torch_dtype": "float16"`} {
		if !strings.Contains(strings.ReplaceAll(text, "float32", "float16"), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	if p.Residual != 1 || p.RankFile == "" || !strings.Contains(strings.Join(p.Files(), " "), p.RankFile) || p.Cache.After != 8+2*2 {
		t.Errorf("residual %v, ranking %q, cache %+v", p.Residual, p.RankFile, p.Cache)
	}
	grouped := newPlan(t, m, "out", plan.Request{Method: mla.MethodGroupedMean, Cache: 16})
	if find(grouped, family.Head) != nil || find(grouped, family.InLayer(0, family.KProj)).Shape[0] != 8 || grouped.Theta != nil {
		t.Errorf("pooled: %+v", grouped.Tensors)
	}
}
