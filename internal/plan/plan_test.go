package plan_test

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// choose makes the choices of a conversion of m without a word about data.
func choose(t *testing.T, m *family.Model, r plan.Request) *plan.Choices {
	t.Helper()
	c, err := plan.Choose(r, m, plan.Data{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sizes are the sizes that follow from a request.
func sizes(m *family.Model, r plan.Request) (plan.Sizes, error) {
	c, err := plan.Choose(r, m, plan.Data{})
	if err != nil {
		return plan.Sizes{}, err
	}
	return c.Sizes(), nil
}

func TestSizes(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t) // head_dim 8, hidden 32: the stack has rank 32
	for name, c := range map[string]struct {
		o    plan.Request
		want plan.Sizes
		err  string
	}{
		"defaults":               {plan.Request{}, plan.Sizes{Rank: 8, RopeDims: 4}, ""},
		"dkv":                    {plan.Request{DKV: 3}, plan.Sizes{Rank: 6, RopeDims: 4}, ""},
		"dkv and rope":           {plan.Request{DKV: 16, RopeDims: 16, Theta: 5}, plan.Sizes{Rank: 32, RopeDims: 16, Theta: 5}, ""},
		"rank":                   {plan.Request{Rank: 7}, plan.Sizes{Rank: 7, RopeDims: 4}, ""},
		"cache":                  {plan.Request{Cache: 20}, plan.Sizes{}, ""},
		"cache and rope":         {plan.Request{Cache: 20, RopeDims: 6}, plan.Sizes{Rank: 14, RopeDims: 6}, ""},
		"cache beyond the stack": {plan.Request{Cache: 100, RopeDims: 6}, plan.Sizes{Rank: 32, RopeDims: 6}, ""},
		"threshold":              {plan.Request{Rank: 7, Threshold: 0.1}, plan.Sizes{Rank: 7}, ""},
		"dkv too large":          {plan.Request{DKV: 17}, plan.Sizes{}, "above 32"},
		"rank too large":         {plan.Request{Rank: 33}, plan.Sizes{}, "above 32"},
		"cache too small":        {plan.Request{Cache: 2}, plan.Sizes{}, "no room"},
		"cache too small beside": {plan.Request{Cache: 6, RopeDims: 6}, plan.Sizes{}, "no room"},
		"odd":                    {plan.Request{RopeDims: 3}, plan.Sizes{}, "odd"},
		"rope too large":         {plan.Request{RopeDims: 18}, plan.Sizes{}, "above 16"},
		"rope of whole pairs":    {plan.Request{RopeDims: 10, Select: rope.High}, plan.Sizes{}, "above 8"},
		"threshold above 1":      {plan.Request{Threshold: 1.5}, plan.Sizes{}, "above 1"},
		"two ranks":              {plan.Request{DKV: 1, Cache: 9}, plan.Sizes{}, "all say"},
		"base below 1":           {plan.Request{Theta: 0.5}, plan.Sizes{}, "above 1"},
		"rope and threshold":     {plan.Request{RopeDims: 4, Threshold: 0.1}, plan.Sizes{}, "both"},
		"TransMLA":               {plan.Request{Method: mla.MethodTransMLA}, plan.Sizes{Rank: 8, RopeDims: 4, Theta: 10000}, ""},
		"TransMLA, folding":      {plan.Request{Method: mla.MethodTransMLA, RopeDims: 8, FreqFold: 4}, plan.Sizes{Rank: 8, RopeDims: 8, Theta: 10000}, ""},
		"TransMLA, cache":        {plan.Request{Method: mla.MethodTransMLA, Cache: 20}, plan.Sizes{Theta: 10000}, ""},
		"TransMLA, its base":     {plan.Request{Method: mla.MethodTransMLA, Theta: 10000}, plan.Sizes{Rank: 8, RopeDims: 4, Theta: 10000}, ""},
		"TransMLA, other base":   {plan.Request{Method: mla.MethodTransMLA, Theta: 500}, plan.Sizes{}, "keeps the source's rope_theta 10000"},
		"TransMLA, beyond":       {plan.Request{Method: mla.MethodTransMLA, RopeDims: 16}, plan.Sizes{}, "above 8"},
		"TransMLA, uneven":       {plan.Request{Method: mla.MethodTransMLA, RopeDims: 6}, plan.Sizes{}, "does not divide"},
		"TransMLA, fold uneven":  {plan.Request{Method: mla.MethodTransMLA, RopeDims: 4, FreqFold: 3}, plan.Sizes{}, "multiple of 2"},
		"TransMLA, fold beyond":  {plan.Request{Method: mla.MethodTransMLA, RopeDims: 4, FreqFold: 8}, plan.Sizes{}, "divide the 4"},
		"TransMLA, no fold":      {plan.Request{Method: mla.MethodTransMLA, Cache: 20, FreqFold: 3}, plan.Sizes{}, "no rotary key"},
		"TransMLA, strategy":     {plan.Request{Method: mla.MethodTransMLA, Select: rope.High}, plan.Sizes{}, "do not go with"},
		"TransMLA, threshold":    {plan.Request{Method: mla.MethodTransMLA, Threshold: 0.1}, plan.Sizes{}, "do not go with"},
		"folding alone":          {plan.Request{FreqFold: 2}, plan.Sizes{}, "goes with method transmla"},
		"query rank":             {plan.Request{QLora: new(layout.QLora(32))}, plan.Sizes{Rank: 8, RopeDims: 4}, ""},
		"query rank too large":   {plan.Request{QLora: new(layout.QLora(33))}, plan.Sizes{}, "above 32"},
		"threshold, by norm":     {plan.Request{Threshold: 0.1, Select: rope.ByNorm}, plan.Sizes{}, "goes with"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := sizes(m, c.o)
			switch {
			case c.err != "":
				if !errors.As(err, new(*plan.UsageError)) || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v, want a usage error with %q", err, c.err)
				}
			case err != nil || got != c.want:
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestSplits(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	c := choose(t, m, plan.Request{Cache: 12})
	for _, s := range c.Splits() {
		if s.Rank+s.RopeDims != 12 || s.RopeDims%2 != 0 || s.Rank < 1 || s.RopeDims > 16 {
			t.Errorf("got the split %+v, want 12 floats in all and an even rotary key of at most 16", s)
		}
	}
	if n := len(c.Splits()); n != 4 { // 2, 4, 6, 8
		t.Errorf("got %d splits, want 4", n)
	}
}

func newPlan(t *testing.T, m *family.Model, out string, r plan.Request) *plan.Plan {
	t.Helper()
	c := choose(t, m, r)
	p, err := plan.New(out, c, c.Sizes())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func find(p *plan.Plan, name string) *plan.Tensor {
	for i := range p.Tensors {
		if p.Tensors[i].Name == name {
			return &p.Tensors[i]
		}
	}
	return nil
}

// TestActions: what is only carried along is copied, what the scale of the
// residual stream or a type touches is converted, what attention is made of is
// computed.
func TestActions(t *testing.T) {
	p := newPlan(t, testmodel.Llama{KVHeads: 2, Eps: 1e-5}.Open(t), "out", plan.Request{})
	scale := math.Sqrt(0.1)
	for name, want := range map[string]struct {
		action plan.Action
		factor float64
	}{
		family.Embedding:                   {plan.Convert, scale},
		family.Head:                        {plan.Copy, 0},
		family.FinalNorm:                   {plan.Copy, 0},
		family.InLayer(0, family.GateProj): {plan.Copy, 0},
		family.InLayer(0, family.DownProj): {plan.Convert, scale},
		family.InLayer(0, family.MLPNorm):  {plan.Copy, 0},
		family.InLayer(1, family.QProj):    {plan.Compute, 0},
		family.InLayer(1, family.OProj):    {plan.Compute, 0},
		family.InLayer(1, family.KVANorm):  {plan.Compute, 0},
	} {
		got := find(p, name)
		if got == nil || got.Action != want.action || math.Abs(got.Factor-want.factor) > 1e-12 {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	for _, gone := range []string{family.KProj, family.VProj} {
		if find(p, family.InLayer(0, gone)) != nil {
			t.Errorf("%s is still there", gone)
		}
	}
	if p.Cache.Before != 32 || p.Cache.After != 12 || p.Theta != nil {
		t.Errorf("got cache %+v and base %v, want 32 floats, then 12, and no base", p.Cache, p.Theta)
	}
}

func TestTypes(t *testing.T) {
	for source, rules := range map[checkpoint.DType]map[string]checkpoint.DType{
		checkpoint.F32:  {"keep": checkpoint.F32, "f32": checkpoint.F32, "bf16": checkpoint.BF16, "f16": checkpoint.F16},
		checkpoint.BF16: {"keep": checkpoint.BF16, "f32": checkpoint.F32},
		checkpoint.F16:  {"keep": checkpoint.BF16, "f16": checkpoint.F16},
		checkpoint.F64:  {"keep": checkpoint.F64, "bf16": checkpoint.BF16},
	} {
		m := testmodel.Llama{DType: source, Eps: 1e-5}.Open(t)
		for name, want := range rules {
			rule, err := plan.ParseDType(name)
			if err != nil {
				t.Fatal(err)
			}
			p := newPlan(t, m, "out", plan.Request{DType: rule})
			for _, tensor := range p.Tensors {
				if tensor.DType != want {
					t.Errorf("%s, %s: %s is %s", source, name, tensor.Name, tensor.DType)
				}
			}
			scale := math.Sqrt(0.1)
			if want == checkpoint.BF16 || want == checkpoint.F16 {
				scale = 0.25 // the nearest power of two keeps every mantissa
			}
			if math.Abs(p.Residual-scale) > 1e-12 {
				t.Errorf("%s, %s: residual scale %g, want %g", source, name, p.Residual, scale)
			}
			wantName := map[checkpoint.DType]string{checkpoint.F64: "float64", checkpoint.F32: "float32", checkpoint.BF16: "bfloat16", checkpoint.F16: "float16"}[want]
			if !strings.Contains(string(p.Config), `"torch_dtype": "`+wantName+`"`) {
				t.Errorf("%s, %s: got configuration %s, want torch_dtype %s", source, name, p.Config, wantName)
			}
		}
	}
	if _, err := plan.ParseDType("f8"); err == nil {
		t.Error("took an unknown type")
	}
}

func TestShards(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	for _, most := range []int64{1, 10e3, 5e9} {
		p := newPlan(t, m, "out", plan.Request{MaxShard: most})
		if !slices.IsSortedFunc(p.Tensors, func(a, b plan.Tensor) int { return strings.Compare(a.Name, b.Name) }) {
			t.Error("tensors are not in the order of their names")
		}
		total, tensors, before := int64(0), 0, 0
		for i, s := range p.Shards {
			if s.Bytes > most && s.Tensors > 1 {
				t.Errorf("shard %d has %d tensors and %d bytes, above %d", i, s.Tensors, s.Bytes, most)
			}
			total, tensors = total+s.Bytes, tensors+s.Tensors
		}
		for _, tensor := range p.Tensors {
			if tensor.Shard < before {
				t.Error("shards are not filled in order")
			}
			before = tensor.Shard
		}
		if total != p.Bytes || tensors != len(p.Tensors) {
			t.Errorf("shards hold %d tensors of %d bytes, want %d of %d", tensors, total, len(p.Tensors), p.Bytes)
		}
	}
	one := newPlan(t, m, filepath.Join(t.TempDir(), "o.safetensors"), plan.Request{MaxShard: 1})
	if len(one.Shards) != 1 || one.Shards[0].File != "o.safetensors" || one.Whole || !slices.Equal(one.Files(), []string{"o.safetensors", "o.mha2mla.json", "config.json"}) {
		t.Errorf("a single file: got %v, want o.safetensors, its manifest and config.json", one.Files())
	}
}

// TestGGUFParts: a GGUF file is split if a size is named that it would have more than. The first
// part has all keys, and each says which it is.
func TestGGUFParts(t *testing.T) {
	m := testmodel.Open(t, "../llamacpp/testdata/llama.f16.gguf")
	whole := newPlan(t, m, filepath.Join(t.TempDir(), "o.gguf"), plan.Request{GGUF: true, Target: engine.LlamaCPP})
	if want := []string{"o.gguf", "o.Modelfile", "o.gguf.mha2mla.json"}; !slices.Equal(whole.Files(), want) || len(whole.KeysOf(0)) != len(whole.Keys) {
		t.Errorf("not split: %v, want %v", whole.Files(), want)
	}
	p := newPlan(t, m, filepath.Join(t.TempDir(), "o.gguf"), plan.Request{GGUF: true, Target: engine.LlamaCPP, MaxShard: 15e3})
	if want := []string{"o-00001-of-00003.gguf", "o-00002-of-00003.gguf", "o-00003-of-00003.gguf", "o.gguf.mha2mla.json"}; !slices.Equal(p.Files(), want) {
		t.Errorf("split: %v, want %v", p.Files(), want)
	}
	for i := range p.Shards {
		keys := p.KeysOf(i)
		if n := len(keys); n != 3 && (i > 0 || n != len(p.Keys)+3) {
			t.Errorf("part %d has %d keys", i, n)
		}
		for key, want := range map[string]any{"split.no": uint16(i), "split.count": uint16(3), "split.tensors.count": int32(len(p.Tensors))} {
			if got := keys.Value(key); got != want {
				t.Errorf("part %d: %s is %v, want %v", i, key, got, want)
			}
		}
	}
}

// TestPadded: the written sizes are the backend's, and the base is such that the
// slots in use turn as before. Padding that makes the cache larger than the source's is
// refused unless it is allowed.
func TestPadded(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	padding := plan.Request{Rank: 8, RopeDims: 6, Theta: 1000, PadToKernel: plan.PadForTarget, LargerCache: true}
	p := newPlan(t, m, "out", padding)
	want := family.MLA{KVLoraRank: 8, RopeDim: 64, NopeDim: 64, ValueDim: 128, LatentEps: 1e-6}
	if *p.Target.MLA != want || p.Cache.After != 72 {
		t.Errorf("padded to %+v, want %+v and a cache of 72", *p.Target.MLA, want)
	}
	for _, s := range []option.Setting{option.PadToKernel.Is("vllm-triton"), option.LargerCache.Alone()} {
		if !slices.Contains(p.Words(), s) {
			t.Errorf("got words %v, want %v among them", p.Words(), s)
		}
	}
	named := padding
	named.PadToKernel = "vllm-flashinfer"
	if got := newPlan(t, m, "out", named); got.Cache.After != 320 {
		t.Errorf("padded for a backend that is named, the cache is %d, want 320", got.Cache.After)
	}
	larger := padding
	larger.LargerCache = false
	refused := choose(t, m, larger)
	if _, err := plan.New("out", refused, refused.Sizes()); !errors.As(err, new(*plan.UsageError)) || !strings.Contains(err.Error(), "there is nothing to win") {
		t.Errorf("a cache larger than the source's: %v", err)
	}
	for _, r := range []plan.Request{{PadToKernel: plan.PadForTarget, Target: engine.HF}, {PadToKernel: "none such"}} {
		if _, err := plan.Choose(r, m, plan.Data{}); !errors.As(err, new(*plan.UsageError)) {
			t.Errorf("padding to %q for %q: %v", r.PadToKernel, r.Target, err)
		}
	}
	slots, padded := rope.Frequencies(1000, 6), rope.Frequencies(p.Target.RopeTheta, 64)
	for i, nu := range slots {
		if got := padded[10*i]; math.Abs(got-nu) > 1e-12 { // ⌊64/6⌋ slots apart
			t.Errorf("slot %d turns at %g, want %g", i, got, nu)
		}
	}
	big := testmodel.Llama{HeadDim: 200}.Open(t)
	c := choose(t, big, padding)
	if _, err := plan.New("out", c, c.Sizes()); !errors.As(err, new(*plan.UsageError)) {
		t.Errorf("heads beyond every kernel: %v", err)
	}
}

// TestScaling: yarn is considered for a source that is scaled, where nothing moves
// its bounds, and written in the form that engines agree on.
func TestScaling(t *testing.T) {
	scaled := testmodel.Llama{KVHeads: 2, HeadDim: 64, Config: map[string]any{"max_position_embeddings": 256, "rope_scaling": map[string]any{
		"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 64}}}.Open(t)
	for name, c := range map[string]struct {
		o           plan.Request
		dims        int
		plain, yarn bool // which keys are considered
	}{
		"both":                 {plan.Request{}, 16, true, true},
		"none":                 {plan.Request{Scaling: plan.ScalingNone}, 16, true, false},
		"yarn":                 {plan.Request{Scaling: plan.ScalingYarn}, 16, false, true},
		"padded":               {plan.Request{PadToKernel: plan.PadForTarget, LargerCache: true}, 16, true, false},
		"padded, fits":         {plan.Request{PadToKernel: plan.PadForTarget, LargerCache: true}, 64, true, true},
		"llama.cpp":            {plan.Request{Target: engine.LlamaCPP}, 16, true, false},
		"llama.cpp, asked for": {plan.Request{Target: engine.LlamaCPP, Scaling: plan.ScalingYarn}, 16, false, true},
		"no room":              {plan.Request{Scaling: plan.ScalingYarn}, 2, false, false},
	} {
		var plain, yarn bool
		for _, k := range choose(t, scaled, c.o).Keys(plan.Sizes{Rank: 8, RopeDims: c.dims}) {
			plain, yarn = plain || k.Scaling == nil, yarn || k.Scaling != nil
			if !k.Known() || k.RopeDims != c.dims {
				t.Errorf("%s: got %+v, want all sizes known and %d rotary dimensions", name, k, c.dims)
			}
		}
		if plain != c.plain || yarn != c.yarn {
			t.Errorf("%s: unscaled %v, yarn %v, want %v and %v", name, plain, yarn, c.plain, c.yarn)
		}
	}
	yarn := plan.Request{Rank: 8, RopeDims: 16, Theta: 100, Scaling: plan.ScalingYarn}
	p := newPlan(t, scaled, "out", yarn)
	for _, text := range []string{`"type":"yarn"`, `"rope_type":"yarn"`, `"factor":8`, `"original_max_position_embeddings":32`, `"beta_fast":`, `"beta_slow":`, `"mscale":1`, `"mscale_all_dim":1`} {
		if !strings.Contains(string(p.Config), text) {
			t.Errorf("no %s in\n%s", text, p.Config)
		}
	}
	if !slices.Contains(p.Words(), option.RopeScaling.Is("yarn")) {
		t.Errorf("got words %v, want the scaling yarn among them", p.Words())
	}
	if p := newPlan(t, scaled, "out", plan.Request{Rank: 8, RopeDims: 16, Theta: 100}); p.Target.Rope != nil {
		t.Errorf("a base that is given is scaled by %+v", p.Target.Rope)
	}
	padded, far := yarn, yarn
	padded.PadToKernel, padded.LargerCache, far.Theta = plan.PadForTarget, true, 1.1
	moved := choose(t, scaled, padded)
	if _, err := plan.New("out", moved, moved.Sizes()); !errors.As(err, new(*plan.UsageError)) {
		t.Errorf("padding would move its bounds: %v", err)
	}
	if _, err := sizes(scaled, far); !errors.As(err, new(*plan.UsageError)) {
		t.Errorf("nothing to scale: %v", err)
	}
	if _, err := sizes(testmodel.Llama{KVHeads: 2}.Open(t), yarn); !errors.As(err, new(*plan.UsageError)) {
		t.Errorf("a source that is not scaled: %v", err)
	}
}

func TestPlanTouchesNothing(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	dir := t.TempDir()
	p := newPlan(t, m, filepath.Join(dir, "out"), plan.Request{})
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("made %v", entries)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back struct {
		Target struct {
			MLA family.MLA `json:"mla"`
		} `json:"target"`
		Tensors []struct {
			Name, DType string
			Shape       []int64
		} `json:"tensors"`
		Theta *float64 `json:"rope_theta"`
	}
	if err := json.Unmarshal(text, &back); err != nil || back.Target.MLA.KVLoraRank != 8 || len(back.Tensors) != len(p.Tensors) || back.Theta != nil {
		t.Errorf("%v: %s", err, text)
	}
}

// TestCheckName: an output file may have the longest name at which those beside it fit.
func TestCheckName(t *testing.T) {
	const suffix = ".safetensors"
	for length, ok := range map[int]bool{100: true, 254: true, 255: false} {
		err := plan.CheckName(filepath.Join(t.TempDir(), strings.Repeat("a", length-len(suffix))+suffix))
		if (err == nil) != ok {
			t.Errorf("a name of %d bytes: %v, want an error: %v", length, err, !ok)
		}
	}
	if err := plan.CheckName(filepath.Join(t.TempDir(), strings.Repeat("a", 255))); err != nil {
		t.Errorf("a directory, beside which nothing lies: %v", err)
	}
}

// TestSuited: a target that is named gets latents that it can quantise, and sizes that its
// backends take where there are any; nobody else is limited by it.
func TestSuited(t *testing.T) {
	small := testmodel.Llama{Heads: 9, KVHeads: 3, HeadDim: 64, Hidden: 576}.Open(t)
	large := testmodel.Llama{Heads: 8, KVHeads: 2, HeadDim: 128, Hidden: 256}.Open(t)
	for name, c := range map[string]struct {
		m    *family.Model
		r    plan.Request
		want [][2]int // latent and rotary key; nil: the whole grid
	}{
		"nobody named":                {small, plan.Request{Cache: 192}, nil},
		"Transformers":                {small, plan.Request{Cache: 192, Target: engine.HF}, nil},
		"llama.cpp":                   {small, plan.Request{Cache: 192, Target: engine.LlamaCPP}, [][2]int{{32, 160}, {64, 128}, {96, 96}, {128, 64}, {160, 32}}},
		"Ollama":                      {small, plan.Request{Cache: 100, Target: engine.Ollama}, [][2]int{{32, 68}, {64, 36}, {96, 4}}},
		"all, by name":                {small, plan.Request{Cache: 101, Target: engine.All}, [][2]int{{32, 68}, {64, 36}, {96, 4}}},
		"no room for a block":         {small, plan.Request{Cache: 32, Target: engine.LlamaCPP}, nil},
		"llama.cpp's flash attention": {large, plan.Request{Cache: 192, Target: engine.LlamaCPP}, [][2]int{{128, 64}}},
		"vLLM's prefill":              {large, plan.Request{Cache: 200, Target: engine.VLLM}, [][2]int{{136, 64}}},
		"padded":                      {small, plan.Request{Cache: 192, PadToKernel: "vllm-triton"}, [][2]int{{128, 64}}},
	} {
		var got [][2]int
		splits := choose(t, c.m, c.r).Splits()
		for _, s := range splits {
			got = append(got, [2]int{s.Rank, s.RopeDims})
		}
		if c.want == nil && (len(got) < 7 || splits[0].RopeDims != 2) || c.want != nil && !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	for _, c := range []struct {
		r    plan.Request
		want int
	}{
		{plan.Request{Target: engine.LlamaCPP}, 96}, {plan.Request{Cache: 90, RopeDims: 4, Target: engine.LlamaCPP}, 64}, {plan.Request{Cache: 90, RopeDims: 4}, 86},
		{plan.Request{Cache: 30, RopeDims: 4, Target: engine.LlamaCPP}, 26}, {plan.Request{Rank: 40, Target: engine.LlamaCPP}, 40},
	} {
		if got := choose(t, small, c.r).Sizes().Rank; got != c.want {
			t.Errorf("%+v: rank %d, want %d", c.r, got, c.want)
		}
	}
}
