package verify

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/quant"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

func windows(n, length int) tokens.Windows {
	return tokens.Cut([][]int{testmodel.Tokens(n, 64, 6)}, length, 0)
}

// TestDistributions holds the running sums against the formulas, for logits
// that arrive in pieces with the largest in any of them.
func TestDistributions(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 5))
	for range 200 {
		n := 1 + rng.IntN(40)
		zp, zq := make([]float32, n), make([]float32, n)
		for i := range zp {
			zp[i], zq[i] = float32(rng.NormFloat64()*20), float32(rng.NormFloat64()*20)
		}
		next := rng.IntN(n)
		var x pair
		x.reset()
		for from := 0; from < n; {
			to := min(n, from+1+rng.IntN(7))
			x.add(zp[from:to], zq[from:to], from, next)
			from = to
		}
		var got totals
		got.add(&x, 0, true)

		logSoftmax := func(z []float32) ([]float64, int) {
			largest, best, sum := math.Inf(-1), 0, 0.0
			for i, v := range z {
				if float64(v) > largest {
					largest, best = float64(v), i
				}
			}
			for _, v := range z {
				sum += math.Exp(float64(v) - largest)
			}
			l := make([]float64, len(z))
			for i, v := range z {
				l[i] = float64(v) - largest - math.Log(sum)
			}
			return l, best
		}
		lp, bestP := logSoftmax(zp)
		lq, bestQ := logSoftmax(zq)
		kl := 0.0
		for i := range lp {
			kl += math.Exp(lp[i]) * (lp[i] - lq[i])
		}
		if math.Abs(got.kl-kl) > 1e-9*(1+kl) || math.Abs(got.sourceLoss+lp[next]) > 1e-9 || math.Abs(got.convertedLoss+lq[next]) > 1e-9 {
			t.Fatalf("KL %g and losses %g, %g; want %g, %g, %g", got.kl, got.sourceLoss, got.convertedLoss, kl, -lp[next], -lq[next])
		}
		if (got.agreed == 1) != (bestP == bestQ) {
			t.Fatal("agreement is wrong")
		}
	}
}

// TestItself: a model does not differ from itself.
func TestItself(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	r, err := Compare(context.Background(), m, m, windows(300, 64), nil)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(r.KL) > 1e-12 || r.Top1 != 1 || r.Source.Loss != r.Converted.Loss || r.Tokens != 300 || r.Window != 64 || r.Windows != 5 {
		t.Errorf("%+v", r)
	}
	for _, l := range r.Layers {
		if l.Error > 1e-6 {
			t.Errorf("layer %d is off by %g from itself", l.Layer, l.Error)
		}
	}
	if r.Cache.SourceFloats != 32 || r.Cache.SourceBytes != 2*32*4 || r.Cache.Saving != 0 {
		t.Errorf("cache %+v", r.Cache)
	}
}

// TestPositions: divergences go to the positions they are at, and those of all
// positions make up that of all tokens.
func TestPositions(t *testing.T) {
	bounds := [][2]int{{0, 255}, {256, 511}, {512, 1023}, {1024, 2047}, {2048, 4095}}
	var b byPosition
	var sum [5]float64
	for position := range 2100 {
		kl := float64(position%7) + 0.5
		b.add(position, kl)
		for i, at := range bounds {
			if position >= at[0] && position <= at[1] {
				sum[i] += kl
			}
		}
	}
	for i, p := range b.means() {
		n := min(bounds[i][1], 2099) - bounds[i][0] + 1
		if p.From != bounds[i][0] || p.To != bounds[i][1] || p.Tokens != n || math.Abs(p.KL-sum[i]/float64(n)) > 1e-12 {
			t.Errorf("%+v, want %v with %g of %d tokens", p, bounds[i], sum[i]/float64(n), n)
		}
	}
	x, y := testmodel.Llama{}.Open(t), testmodel.Llama{Seed: 1}.Open(t)
	r, err := Compare(context.Background(), x, y, windows(700, 300), nil)
	if err != nil {
		t.Fatal(err)
	}
	total, tokens := 0.0, 0
	for _, p := range r.Positions {
		total += p.KL * float64(p.Tokens)
		tokens += p.Tokens
	}
	if len(r.Positions) != 2 || tokens != 700 || r.Positions[1].Tokens != 2*44 || math.Abs(total/700-r.KL) > 1e-12*r.KL {
		t.Errorf("%+v make up %g of %d tokens, want %g", r.Positions, total/700, tokens, r.KL)
	}
}

// TestUniformLoss: a model whose head is zero predicts nothing, so its loss is
// that of guessing.
func TestUniformLoss(t *testing.T) {
	zero := testmodel.Llama{Untied: true, Without: map[string]struct{}{family.Head: {}},
		Extra: []checkpoint.Spec{{Name: family.Head, DType: checkpoint.F32, Shape: []int64{64, 32}}}}
	m := zero.Open(t)
	r, err := Compare(context.Background(), m, m, windows(50, 50), nil)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(r.Source.Loss-math.Log(64)) > 1e-6 || math.Abs(r.Source.Perplexity-64) > 1e-3 {
		t.Errorf("loss %g, want ln 64", r.Source.Loss)
	}
}

// TestLogProbs holds the log-probabilities of every token against the softmax of the whole
// logits of each model, and the losses against their means.
func TestLogProbs(t *testing.T) {
	x, y := testmodel.Llama{KVHeads: 2}.Open(t), testmodel.Llama{KVHeads: 2, Seed: 1}.Open(t)
	w := windows(70, 32)
	var told []LogProb
	r, err := Compare(context.Background(), x, y, w, nil, LogProbs(func(p LogProb) error {
		told = append(told, p)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	sum, i := LogProb{}, 0
	for n, tokens := range w {
		ours, theirs := logSoftmax(t, x, tokens), logSoftmax(t, y, tokens)
		for at := 1; at < len(tokens); at++ {
			next := tokens[at]
			want := LogProb{n, at, next, ours[at-1][next], theirs[at-1][next]}
			got := told[i]
			if got.Window != n || got.Position != at || got.Token != next || math.Abs(got.Source-want.Source) > 1e-5 || math.Abs(got.Converted-want.Converted) > 1e-5 {
				t.Fatalf("told %+v, want %+v", got, want)
			}
			sum.Source, sum.Converted, i = sum.Source+got.Source, sum.Converted+got.Converted, i+1
		}
	}
	if n := float64(i); i != len(told) || math.Abs(-sum.Source/n-r.Source.Loss) > 1e-9 || math.Abs(-sum.Converted/n-r.Converted.Loss) > 1e-9 {
		t.Errorf("%d lines of mean %g and %g; losses %g and %g", len(told), -sum.Source/n, -sum.Converted/n, r.Source.Loss, r.Converted.Loss)
	}
	stop := errors.New("stop")
	_, err = Compare(context.Background(), x, y, w, nil, LogProbs(func(LogProb) error { return stop }))
	if !errors.Is(err, stop) {
		t.Errorf("a sink that fails: %v", err)
	}
}

// logSoftmax returns the logarithms of the probabilities that m gives to every token behind
// each of some tokens.
func logSoftmax(t *testing.T, m *family.Model, tokens []int) [][]float64 {
	t.Helper()
	logits, err := forward.Decoder{Model: m}.Logits(tokens)
	if err != nil {
		t.Fatal(err)
	}
	all := make([][]float64, logits.Rows)
	for i := range all {
		row := logits.Row(i)
		sum := 0.0
		for _, z := range row {
			sum += math.Exp(float64(z))
		}
		for _, z := range row {
			all[i] = append(all[i], float64(z)-math.Log(sum))
		}
	}
	return all
}

// TestOrderDoesNotMatter: windows are independent, so their order changes
// nothing but the order of sums.
func TestOrderDoesNotMatter(t *testing.T) {
	a, b := testmodel.Llama{}.Open(t), testmodel.Llama{Seed: 1}.Open(t)
	w := windows(200, 32)
	x, err := Compare(context.Background(), a, b, w, nil)
	if err != nil {
		t.Fatal(err)
	}
	w[0], w[3], w[1], w[4] = w[3], w[0], w[4], w[1]
	y, err := Compare(context.Background(), a, b, w, nil)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(x.KL-y.KL) > 1e-12*x.KL || x.Top1 != y.Top1 || !(x.KL > 0.1) || !(x.Layers[0].Error > 0.5) {
		t.Errorf("%+v and %+v", x, y)
	}
}

func TestBatch(t *testing.T) {
	w := windows(100, 10)
	for most, want := range map[int]int{1: 10, 10: 10, 25: 5, 1000: 1} {
		got := batch(w, most)
		n := 0
		for _, b := range got {
			n += len(b)
		}
		if len(got) != want || n != len(w) {
			t.Errorf("batches of %d tokens: %d with %d windows, want %d with %d", most, len(got), n, want, len(w))
		}
	}
}

func TestRefusals(t *testing.T) {
	a := testmodel.Llama{}.Open(t)
	if _, err := Compare(context.Background(), a, testmodel.Llama{Layers: 3}.Open(t), windows(10, 10), nil); err == nil || !strings.Contains(err.Error(), "not of one shape") {
		t.Errorf("other layers: %v", err)
	}
	if _, err := Compare(context.Background(), a, a, nil, nil); err == nil {
		t.Error("compared on nothing")
	}
	bad := testmodel.Llama{Poison: map[string]float64{family.FinalNorm: math.NaN()}}.Open(t)
	if _, err := Compare(context.Background(), a, bad, windows(10, 10), nil); err == nil || !strings.Contains(err.Error(), "not finite") {
		t.Errorf("NaN: %v", err)
	}
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(stop)
	if _, err := Compare(ctx, a, a, windows(10, 10), nil); !errors.Is(err, stop) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestPaperSaving: Llama-2-7B with dkv 64, 16 rotary dimensions a head and four
// bits a number saves 92.19 % in the MHA2MLA paper, which leaves out
// what scales and zero points take; with them it is 90.63 %.
func TestPaperSaving(t *testing.T) {
	const layers, kvHeads, headDim, dkv, ropeDims = 32, 32, 128, 64, 16
	vectors := []int{dkv * kvHeads}
	for range kvHeads {
		vectors = append(vectors, ropeDims)
	}
	source := int64(2 * 2 * kvHeads * headDim * layers) // 16 bits a number
	q := quantised(quant.Scheme{Bits: 4, Group: quant.DefaultGroup}, vectors, layers, source)
	if got := fmt.Sprintf("%.2f", 100*q.Codes); got != "92.19" {
		t.Errorf("the paper's figure is %s %%", got)
	}
	// There are 2560 codes of 4 bits, and 32 + 32 groups with 32 bits each.
	want := 1 - float64(2560*4+64*32)/(8192*16)
	if math.Abs(q.Saving-want) > 1e-12 || q.Size != float64(layers*(2560*4+64*32))/8 {
		t.Errorf("%+v, want a saving of %g", q, want)
	}
}

// TestCacheBits: fewer bits lose more, eight next to nothing, and the source is
// never quantised.
func TestCacheBits(t *testing.T) {
	source := testmodel.Llama{KVHeads: 2}.Open(t)
	exact, err := Compare(context.Background(), source, source, windows(300, 64), nil)
	if err != nil {
		t.Fatal(err)
	}
	last := 1e-3
	for _, bits := range []int{8, 4, 2} {
		r, err := Compare(context.Background(), source, source, windows(300, 64), nil, CacheBits(bits))
		if err != nil {
			t.Fatal(err)
		}
		q := r.Cache.Quantised
		switch {
		case r.Source.Loss != exact.Source.Loss:
			t.Errorf("%d bits: the source changed", bits)
		case bits == 8 && !(r.KL > 0 && r.KL < last), bits < 8 && !(r.KL > 2*last):
			t.Errorf("%d bits: KL %g after %g", bits, r.KL, last)
		case q.Bits != bits || q.Size != float64(2*4*(8*bits+32))/8 || q.Codes != 1-float64(bits)/32:
			t.Errorf("%d bits: %+v", bits, q)
		}
		last = r.KL
	}
}

// TestCachedVectors: the lengths that savings are counted with are those of the
// vectors that are quantised.
func TestCachedVectors(t *testing.T) {
	for _, make := range []testmodel.Llama{{KVHeads: 2}, {Latent: &testmodel.Latent{Rank: 12, RopeDims: 4, NopeDim: 8, ValueDim: 8}}} {
		m := make.Open(t)
		var seen []int
		d := forward.Decoder{Model: m, Cached: func(v f32.Matrix) { seen = append(seen, v.Cols) }}
		if _, err := d.Logits([]int{1, 2, 3}); err != nil {
			t.Fatal(err)
		}
		want := slices.Repeat(cachedVectors(m), m.Layers)
		slices.Sort(seen)
		slices.Sort(want)
		if !slices.Equal(seen, want) {
			t.Errorf("quantises vectors of %v and counts %v", seen, want)
		}
	}
}
