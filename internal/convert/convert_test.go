package convert_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/job"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/search"
	"github.com/mha2mla/mha2mla/internal/tokens"
	"github.com/mha2mla/mha2mla/internal/verify"
)

const stories = "../../testdata/stories260k"

// choose makes the choices of a conversion of m without a word about data.
func choose(t testing.TB, m *family.Model, r plan.Request) *plan.Choices {
	t.Helper()
	c, err := plan.Choose(r, m, plan.Data{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// planFor plans a conversion of m to out.
func planFor(m *family.Model, out string, r plan.Request, stats calib.Reader) (*plan.Plan, error) {
	return job.Plan(context.Background(), mla.Input{Model: m, Stats: stats}, out, r, plan.Data{})
}

// flags writes a setting as the command line does.
func flags(s option.Setting) string {
	return strings.TrimSpace("--" + string(s.Option) + " " + s.Value)
}

// convertTo converts m to out.
func convertTo(m *family.Model, out string, o plan.Request, run convert.Options) (*plan.Plan, error) {
	p, err := planFor(m, out, o, nil)
	if err != nil {
		return nil, err
	}
	if run.Jobs == 0 {
		run.Jobs = 2
	}
	run.Words = flags
	_, err = convert.Run(context.Background(), p, run)
	return p, err
}

// convertWith is convertTo, and returns what was found out.
func convertWith(m *family.Model, out string, o plan.Request, run convert.Options) (*convert.Result, error) {
	p, err := planFor(m, out, o, run.Stats)
	if err != nil {
		return nil, err
	}
	run.Jobs, run.Words = 1, flags
	return convert.Run(context.Background(), p, run)
}

// converted converts m to a directory and opens it.
func converted(t testing.TB, m *family.Model, o plan.Request) *family.Model {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	if _, err := convertTo(m, out, o, convert.Options{}); err != nil {
		t.Fatal(err)
	}
	return testmodel.Open(t, out)
}

// logits runs a model on one sequence.
func logits(t testing.TB, m *family.Model, ids []int) []float32 {
	t.Helper()
	z, err := forward.Decoder{Model: m}.Logits(ids)
	if err != nil {
		t.Fatal(err)
	}
	return z.Data
}

// worst is the largest difference of two slices.
func worst(a, b []float32) float64 {
	off := 0.0
	for i := range a {
		d := math.Abs(float64(a[i]) - float64(b[i]))
		if math.IsNaN(d) {
			return d
		}
		off = max(off, d)
	}
	return off
}

// TestLossless converts checkpoints with one KV head at full rank, all pairs in
// the rotary key: logits stay within 1e-3, in every form of the layout.
func TestLossless(t *testing.T) {
	full := plan.Request{RopeDims: 8, Rank: 16}
	with := func(change func(*plan.Request)) plan.Request {
		o := full
		change(&o)
		return o
	}
	for name, c := range map[string]struct {
		make testmodel.Llama
		o    plan.Request
	}{
		"tied":            {testmodel.Llama{}, full},
		"untied":          {testmodel.Llama{Untied: true}, full},
		"same ε":          {testmodel.Llama{Eps: 1e-6}, full},
		"large ε":         {testmodel.Llama{Eps: 1e-3}, full},
		"F64":             {testmodel.Llama{DType: checkpoint.F64}, full},
		"other base":      {testmodel.Llama{Theta: 500000}, full},
		"q-lora exact":    {testmodel.Llama{}, with(func(o *plan.Request) { o.QLora = new(layout.QLoraExact) })},
		"padded":          {testmodel.Llama{}, with(func(o *plan.Request) { o.PadToKernel, o.LargerCache = plan.PadForTarget, true })},
		"padded unevenly": {testmodel.Llama{Hidden: 30, HeadDim: 6}, plan.Request{RopeDims: 6, Rank: 12, PadToKernel: plan.PadForTarget, LargerCache: true}},
		"padded, q-lora": {testmodel.Llama{}, with(func(o *plan.Request) {
			o.PadToKernel, o.LargerCache, o.QLora = plan.PadForTarget, true, new(layout.QLoraExact)
		})},
		"q-lora of rank": {testmodel.Llama{}, with(func(o *plan.Request) { o.QLora = new(layout.QLora(32)) })},
		"narrow queries": {testmodel.Llama{Heads: 2}, with(func(o *plan.Request) { o.QLora = new(layout.QLora(16)) })},
		"padded, rank": {testmodel.Llama{}, with(func(o *plan.Request) {
			o.PadToKernel, o.LargerCache, o.QLora = plan.PadForTarget, true, new(layout.QLora(32))
		})},
		"rank, plain SVD": {testmodel.Llama{}, with(func(o *plan.Request) { o.Weights, o.QLora = mla.WeightsNone, new(layout.QLora(32)) })},
		"plain SVD":       {testmodel.Llama{}, with(func(o *plan.Request) { o.Weights = mla.WeightsNone })},
		"norm weights":    {testmodel.Llama{}, with(func(o *plan.Request) { o.Weights = mla.WeightsNorm })},
		"TransMLA":        {testmodel.Llama{}, with(func(o *plan.Request) { o.Method = mla.MethodTransMLA })},
		"wider than deep": {testmodel.Llama{Hidden: 12}, plan.Request{RopeDims: 8, Rank: 12}},
	} {
		t.Run(name, func(t *testing.T) {
			c.make.KVHeads = 1
			m := c.make.Open(t)
			out := converted(t, m, c.o)
			ids := testmodel.Tokens(100, m.Vocab, 4)
			if off := worst(logits(t, m, ids), logits(t, out, ids)); !(off < 1e-3) {
				t.Errorf("logits are off by %g", off)
			}
		})
	}
}

// TestLosslessCalibrated: statistics of fewer tokens than dimensions must not cost
// what full rank keeps, on other tokens too.
func TestLosslessCalibrated(t *testing.T) {
	m := testmodel.Llama{KVHeads: 1}.Open(t)
	for name, windows := range map[string][][]int{
		"few":    {testmodel.Tokens(9, m.Vocab, 1)},
		"same":   {{5, 5, 5, 5, 5, 5, 5, 5}},
		"plenty": {testmodel.Tokens(120, m.Vocab, 1), testmodel.Tokens(120, m.Vocab, 2)},
	} {
		out := filepath.Join(t.TempDir(), "out")
		o := plan.Request{RopeDims: 8, Rank: 16, Weights: mla.WeightsCalibrated}
		if _, err := convertTo(m, out, o, convert.Options{Stats: calibrated(t, m, windows)}); err != nil {
			t.Fatal(err)
		}
		ids := testmodel.Tokens(100, m.Vocab, 4)
		if off := worst(logits(t, m, ids), logits(t, testmodel.Open(t, out), ids)); !(off < 1e-3) {
			t.Errorf("%s tokens: logits are off by %g", name, off)
		}
	}
}

// TestLosslessBFloat16: in 16 bits what is left is the rounding of the weights,
// which a power of two for the residual stream keeps small.
func TestLosslessBFloat16(t *testing.T) {
	for _, dtype := range []checkpoint.DType{checkpoint.BF16, checkpoint.F16} {
		m := testmodel.Llama{KVHeads: 1, DType: dtype}.Open(t)
		out := converted(t, m, plan.Request{RopeDims: 8, Rank: 16})
		if got := out.Source.Lookup(family.InLayer(0, family.QProj)).DType; got != checkpoint.BF16 {
			t.Errorf("%s was written as %s", dtype, got)
		}
		ids := testmodel.Tokens(100, m.Vocab, 4)
		if off := worst(logits(t, m, ids), logits(t, out, ids)); !(off < 0.3) { // of logits up to 10
			t.Errorf("%s: logits are off by %g", dtype, off)
		}
	}
}

// kl converts the real checkpoint and measures it.
func kl(t *testing.T, o plan.Request) float64 {
	t.Helper()
	return storiesKL(t, converted(t, testmodel.Open(t, stories), o))
}

// storiesKL measures a conversion of the real checkpoint on some of its text.
func storiesKL(t *testing.T, result *family.Model) float64 {
	t.Helper()
	m := testmodel.Open(t, stories)
	sequences, err := tokens.Read(t.Context(), filepath.Join(stories, "tinystories.ids.json"), m.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	r, err := verify.Compare(context.Background(), m, result, tokens.Cut(sequences, 256, 4096), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r.KL
}

// TestRealCheckpoint converts real weights at half the cache.
func TestRealCheckpoint(t *testing.T) {
	half := plan.Request{Rank: 24, RopeDims: 8}
	f32 := kl(t, half)
	if !(f32 <= 0.36) {
		t.Errorf("KL %g at half the cache", f32)
	}
	half.DType = plan.DTypeRule(checkpoint.BF16)
	if bf16 := kl(t, half); !(math.Abs(bf16-f32) <= 0.02*f32) {
		t.Errorf("KL %g in BF16, %g in F32", bf16, f32)
	}
	half.DType = plan.DTypeRule(checkpoint.F16)
	if f16 := kl(t, half); !(math.Abs(f16-f32) <= 0.02*f32) {
		t.Errorf("KL %g in F16, %g in F32", f16, f32)
	}
	if plain := kl(t, plan.Request{Rank: 24, RopeDims: 8, Weights: mla.WeightsNone}); !(plain >= 1.5*f32) {
		t.Errorf("KL %g with the plain SVD, %g with weights", plain, f32)
	}
}

// TestNaivePassThrough: with the latent at its natural size, s = 1, the norm is
// anything but linear. If that did not show, the other tests would see nothing.
func TestNaivePassThrough(t *testing.T) {
	m := testmodel.Open(t, stories)
	out := filepath.Join(t.TempDir(), "out")
	p, err := convertTo(m, out, plan.Request{Rank: 24, RopeDims: 8}, convert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	linear := testmodel.Open(t, out)
	naive := filepath.Join(t.TempDir(), checkpoint.SingleFile)
	f, err := os.Create(naive)
	if err != nil {
		t.Fatal(err)
	}
	var specs []checkpoint.Spec
	for _, tensor := range p.Tensors {
		specs = append(specs, tensor.Spec)
	}
	w, err := checkpoint.NewWriter(f, specs, map[string]string{checkpoint.MetadataConfig: linear.Source.Embedded()})
	if err != nil {
		t.Fatal(err)
	}
	for _, tensor := range linear.Source.Tensors() {
		values := make([]float64, tensor.Elements())
		weight := make([]float64, 1)
		layer, _, _ := strings.Cut(strings.TrimPrefix(tensor.Name, "model.layers."), ".")
		norm := linear.Source.Lookup("model.layers." + layer + "." + family.KVANorm)
		if norm == nil {
			norm = linear.Source.Lookup(family.InLayer(0, family.KVANorm))
		}
		if err := errors.Join(checkpoint.Read(tensor, 0, values), checkpoint.Read(norm, 0, weight)); err != nil {
			t.Fatal(err)
		}
		s, from, factor := math.Sqrt(layout.Eps)/weight[0], 0, 1.0
		switch {
		case strings.HasSuffix(tensor.Name, family.InputNorm):
			factor = 1 / s
		case strings.HasSuffix(tensor.Name, family.QProj), strings.HasSuffix(tensor.Name, family.KVANorm):
			factor = s
		case strings.HasSuffix(tensor.Name, family.KVAProj):
			from, factor = 24*m.Hidden, s
		}
		for i := from; i < len(values); i++ {
			values[i] *= factor
		}
		stream := w.Tensor(tensor.Name)
		if err := errors.Join(stream.WriteFloats(values), stream.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if good, bad := storiesKL(t, linear), storiesKL(t, testmodel.Open(t, naive)); !(bad > 5*good) {
		t.Errorf("KL %g with s = 1, %g with the latent norm linear", bad, good)
	}
	ids := testmodel.Tokens(50, 64, 5)
	mqa := testmodel.Llama{KVHeads: 1}.Open(t)
	through := converted(t, mqa, plan.Request{RopeDims: 8, Rank: 16, LatentNorm: layout.NormRMS})
	if off := worst(logits(t, mqa, ids), logits(t, through, ids)); !(off > 0.1) {
		t.Errorf("a latent that goes through the norm changes logits by %g alone", off)
	}
	// the norm sees padding, too, and must not mind it
	padded := converted(t, mqa, plan.Request{RopeDims: 8, Rank: 16, LatentNorm: layout.NormRMS, PadToKernel: plan.PadForTarget, LargerCache: true})
	if off := worst(logits(t, through, ids), logits(t, padded, ids)); !(off < 1e-2) {
		t.Errorf("padding changes logits by %g", off)
	}
}

// TestSearch: only a cache is given; the division found must beat another one by
// far.
func TestSearch(t *testing.T) {
	m := testmodel.Open(t, stories)
	found, err := search.Sizes(context.Background(), search.Task{Input: mla.Input{Model: m}, Choices: choose(t, m, plan.Request{Cache: 32})})
	if err != nil {
		t.Fatal(err)
	}
	if !found.Known() || found.Rank+found.RopeDims != 32 {
		t.Fatalf("found %+v", found)
	}
	if got, other := kl(t, plan.Request{Cache: 32}), kl(t, plan.Request{Cache: 32, RopeDims: 24}); !(got <= 0.36 && got < other/2) {
		t.Errorf("KL %g, and %g at another division", got, other)
	}
	if found, err = search.Sizes(context.Background(), search.Task{Input: mla.Input{Model: m}, Choices: choose(t, m, plan.Request{RopeDims: 8})}); err != nil || found.Theta != m.RopeTheta {
		t.Errorf("as many slots as pairs: found base %v, %v; the source's own fits every pair", found.Theta, err)
	}
}

func TestThreshold(t *testing.T) {
	m := testmodel.Open(t, stories)
	for threshold, want := range map[float64]int{1e-9: 8, 0.9999: 2} {
		c := choose(t, m, plan.Request{Rank: 16, Threshold: threshold})
		found, err := search.Sizes(context.Background(), search.Task{Input: mla.Input{Model: m}, Choices: c})
		if err != nil || found.RopeDims != want || found.Rank != 16 {
			t.Errorf("threshold %v: found %+v, %v; want %d rotary dimensions", threshold, found, err, want)
		}
	}
}

// TestCard: the command on the model card makes the same weights again.
func TestCard(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	for _, o := range []plan.Request{{Cache: 20}, {Rank: 16, Threshold: 0.2}, {Rank: 8, PadToKernel: plan.PadForTarget, LargerCache: true, QLora: new(layout.QLoraExact)}, {Rank: 8, QLora: new(layout.QLora(5))}} {
		out := filepath.Join(t.TempDir(), "out")
		p, err := convertTo(m, out, o, convert.Options{})
		if err != nil {
			t.Fatal(err)
		}
		card := files(t, out)[plan.CardFile]
		words := []string{fmt.Sprint("--kv-lora-rank ", p.Maths.Rank), fmt.Sprint("--rope-theta ", p.Maths.RopeTheta)}
		if words = append(words, fmt.Sprint("--rope-dims ", p.Maths.RopeDims)); o.Threshold > 0 {
			words[2] = "--rope-threshold 0.2"
		}
		if o.PadToKernel != "" {
			words = append(words, "--pad-to-kernel vllm-triton --allow-larger-cache", "--q-lora exact")
		}
		if o.QLora != nil && o.QLora.Rank() > 0 {
			words = append(words, "--q-lora 5")
		}
		for _, want := range words {
			if !strings.Contains(card, want) {
				t.Errorf("%+v: no %s on the card", o, want)
			}
		}
		if o.Threshold > 0 == strings.Contains(card, "--rope-dims") || (o.PadToKernel != "") != strings.Contains(card, "--pad-to-kernel") {
			t.Errorf("%+v: the card says %s", o, card)
		}
		again := plan.Request{Rank: p.Maths.Rank, Theta: p.Maths.RopeTheta, RopeDims: p.Maths.RopeDims, Threshold: o.Threshold, PadToKernel: o.PadToKernel, LargerCache: o.LargerCache, QLora: o.QLora}
		if o.Threshold > 0 {
			again.RopeDims = 0
		}
		copied := filepath.Join(t.TempDir(), "out")
		if _, err := convertTo(m, copied, again, convert.Options{}); err != nil {
			t.Fatal(err)
		}
		if files(t, out)[checkpoint.SingleFile] != files(t, copied)[checkpoint.SingleFile] {
			t.Errorf("%+v: other weights", o)
		}
	}
}
