package verify

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/testmodel"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

func windows(n, length int) [][]int {
	return tokens.Windows([][]int{testmodel.Tokens(n, 64, 6)}, length, 0)
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
		got.add(&x, true)

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
