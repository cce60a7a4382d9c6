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
		o    plan.Options
		want plan.Sizes
		err  string
	}{
		"defaults":           {plan.Options{}, plan.Sizes{Rank: 16, RopeDims: 2}, ""},
		"defaults, split":    {plan.Options{SVD: plan.SVDSplit}, plan.Sizes{Rank: 16, RopeDims: 2}, ""},
		"dkv":                {plan.Options{DKV: 3}, plan.Sizes{Rank: 6, RopeDims: 2}, ""},
		"rank":               {plan.Options{Rank: 10, RopeDims: 16}, plan.Sizes{Rank: 10, RopeDims: 16}, ""},
		"cache and rope":     {plan.Options{Cache: 21, RopeDims: 4}, plan.Sizes{Rank: 12, RopeDims: 4}, ""},
		"cache, split":       {plan.Options{Cache: 22, RopeDims: 4, SVD: plan.SVDSplit}, plan.Sizes{Rank: 12, RopeDims: 4}, ""},
		"more than there is": {plan.Options{Cache: 999, RopeDims: 4}, plan.Sizes{Rank: 56, RopeDims: 4}, ""},
		"cache":              {plan.Options{Cache: 21}, plan.Sizes{}, ""},
		"odd rank":           {plan.Options{Rank: 9}, plan.Sizes{}, "no multiple of 2"},
		"odd dkv, split":     {plan.Options{DKV: 3, SVD: plan.SVDSplit}, plan.Sizes{}, "no multiple of 4"},
		"rank too large":     {plan.Options{DKV: 31}, plan.Sizes{}, "above 60"},
		"dkv beyond numbers": {plan.Options{DKV: 1 << 62}, plan.Sizes{}, "above 60"},
		"odd rope":           {plan.Options{RopeDims: 3}, plan.Sizes{}, "is odd"},
		"rope too large":     {plan.Options{RopeDims: 18}, plan.Sizes{}, "above 16"},
		"nothing to split":   {plan.Options{RopeDims: 16, SVD: plan.SVDSplit}, plan.Sizes{}, "above 14"},
		"cache too small":    {plan.Options{Cache: 5}, plan.Sizes{}, "no room for two"},
		"no room beside":     {plan.Options{Cache: 12, RopeDims: 6}, plan.Sizes{}, "no room for a latent"},
		"base":               {plan.Options{Theta: 100}, plan.Sizes{}, "--rope-theta goes with"},
		"threshold":          {plan.Options{Threshold: 0.1}, plan.Sizes{}, "--rope-threshold goes with"},
		"padding":            {plan.Options{PadToKernel: true}, plan.Sizes{}, "--pad-to-kernel goes with"},
		"query":              {plan.Options{QLora: layout.QLoraExact}, plan.Sizes{}, "--q-lora goes with"},
		"split, deepseek":    {plan.Options{Layout: layout.FormDeepseek, SVD: plan.SVDSplit}, plan.Sizes{}, "goes with --layout mha2mla"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.o.Layout == "" {
				c.o.Layout = layout.FormReference
			}
			if c.err == "" {
				c.want.Theta = m.RopeTheta
			}
			o := options(c.o)
			checkSizes(t, m, o, c.want, c.err)
		})
	}
	o := options(plan.Options{Layout: layout.FormReference, Cache: 21, SVD: plan.SVDSplit})
	for _, s := range o.Splits(m) {
		if s.Rank%4 != 0 || s.Rank < 4 || s.Rank+2*s.RopeDims > 21 || s.Theta != m.RopeTheta {
			t.Errorf("split %+v", s)
		}
	}
	if n := len(o.Splits(m)); n != 4 { // 2, 4, 6, 8
		t.Errorf("%d splits", n)
	}
}

func checkSizes(t *testing.T, m *family.Model, o plan.Options, want plan.Sizes, wantErr string) {
	t.Helper()
	got, err := o.Sizes(m)
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
		o    plan.Options
		want int
		err  string
	}{
		"cache":     {plan.Options{Cache: 64}, 4, ""},
		"between":   {plan.Options{Cache: 95}, 4, ""},
		"default":   {plan.Options{}, 3, ""}, // 12·4 + 4
		"dkv":       {plan.Options{DKV: 8, RopeDims: 4}, 6, ""},
		"rank":      {plan.Options{Rank: 30}, 2, ""},
		"least":     {plan.Options{Cache: 16}, 1, ""},
		"too small": {plan.Options{Cache: 15}, 0, "no room for one KV head"},
		"too large": {plan.Options{Cache: 192}, 0, "room for all 12"},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Method = mla.MethodGroupedMean
			checkSizes(t, m, options(c.o), plan.Sizes{KVHeads: c.want}, c.err)
		})
	}
	o := options(plan.Options{Method: mla.MethodGroupedMean})
	if _, err := o.Sizes(testmodel.Llama{KVHeads: 1}.Open(t)); !errors.As(err, new(*family.UnsupportedError)) {
		t.Errorf("one KV head: %v", err)
	}
}

// TestPreset: a method makes the choices that the user has not made.
func TestPreset(t *testing.T) {
	given := func(flags ...string) func(string) bool {
		return func(flag string) bool { return strings.Contains(strings.Join(flags, " "), flag) }
	}
	o := plan.Defaults()
	o.Method = mla.MethodMHA2MLA
	if err := o.Preset(given()); err != nil || o.Layout != layout.FormReference || o.Select != rope.ByNorm || o.Weights != mla.WeightsNone {
		t.Errorf("the paper's method is %+v, %v", o, err)
	}
	o = plan.Defaults()
	o.Method, o.Select = mla.MethodMHA2MLA, rope.Low
	if err := o.Preset(given("rope-select", "weights")); err != nil || o.Select != rope.Low || o.Weights != plan.Defaults().Weights {
		t.Errorf("the user's choices became %+v, %v", o, err)
	}
	o.Method = mla.MethodGroupedMean
	if err := o.Preset(given("svd")); !errors.As(err, new(*plan.UsageError)) {
		t.Errorf("pooling with a factorisation: %v", err)
	}
}

// TestReadRankings: only a name of a file is read, and it must be there and fit.
func TestReadRankings(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	o := plan.Defaults()
	if err := o.ReadRankings(m); err != nil || o.Rankings != nil {
		t.Errorf("a strategy: %v", err)
	}
	o.Select = "none.pth"
	if err := o.ReadRankings(m); !errors.As(err, new(*plan.UsageError)) {
		t.Errorf("no file: %v", err)
	}
	path := filepath.Join(t.TempDir(), "bad.pth")
	if err := os.WriteFile(path, []byte("\x80\x02."), 0o666); err != nil {
		t.Fatal(err)
	}
	o.Select = rope.Strategy(path)
	if err := o.ReadRankings(m); !errors.As(err, new(*checkpoint.FormatError)) || !strings.Contains(err.Error(), "legacy") {
		t.Errorf("a legacy file: %v", err)
	}
	for _, text := range []string{"", ".pth", "best", "rank.pt"} {
		if _, err := plan.ParseSelect(text); err == nil {
			t.Errorf("took %q", text)
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
	p := newPlan(t, m, "out", plan.Options{Layout: layout.FormReference})
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
	grouped := newPlan(t, m, "out", plan.Options{Method: mla.MethodGroupedMean, Cache: 16})
	if find(grouped, family.Head) != nil || find(grouped, family.InLayer(0, family.KProj)).Shape[0] != 8 || grouped.Theta != nil {
		t.Errorf("pooled: %+v", grouped.Tensors)
	}
}
