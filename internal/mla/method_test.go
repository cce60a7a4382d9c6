package mla

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/linalg"
)

// TestBalance: under the blocks keys and values have the same norm, values the one
// they had, and keys that are zero leave everything as it is.
func TestBalance(t *testing.T) {
	const G, D, d = 2, 3, 5
	stack := mat.NewDense(2*G*D, d, nil)
	for i := range 2 * G * D {
		for j := range d {
			stack.Set(i, j, float64(1+(i*7+j*3)%5)*math.Exp2(float64(i/(G*D))))
		}
	}
	root := []float64{1, 2, 0.5, 3, 0}
	energy := func(blocks []*mat.SymDense, from, to int) float64 {
		sum := 0.0
		for i := from; i < to; i++ {
			for j, r := range root {
				sum += blocks[i/D].At(i%D, i%D) * stack.At(i, j) * stack.At(i, j) * r * r
			}
		}
		return sum
	}
	blocks := balance(stack, linalg.DiagonalMetric(root), G)
	keys, values := energy(blocks, 0, G*D), energy(blocks, G*D, 2*G*D)
	if math.Abs(keys-values) > 1e-9*values || blocks[G].At(0, 0) != 1 || blocks[0].At(0, 0) == 1 {
		t.Errorf("energy %g of keys, %g of values", keys, values)
	}
	stack.Slice(0, G*D, 0, d).(*mat.Dense).Zero()
	for _, block := range balance(stack, linalg.Metric{}, G) {
		if block.At(0, 0) != 1 || block.At(0, 1) != 0 {
			t.Errorf("a block is %v", mat.Formatted(block))
		}
	}
}

// TestTransMLAKeepsContent: what TransMLA takes out of the keys comes back in the
// rotary key, so that at distance 0 and full rank scores are exact; with one KV head
// and every pair they are so at every distance.
func TestTransMLAKeepsContent(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 3))
	for _, c := range []struct{ kv, dims, fold, distance int }{{2, 8, 1, 0}, {2, 4, 4, 0}, {4, 2, 0, 0}, {1, 8, 1, 100}} {
		m := testmodel.Llama{KVHeads: c.kv, Layers: 1}.Open(t)
		l := convert(t, m, Options{
			Method: MethodTransMLA, Rank: min(2*c.kv*8, 32), RopeDims: c.dims, RopeTheta: m.RopeTheta,
			FreqFold: c.fold, Weights: WeightsBalanced,
		})
		x, y := vector(m.Hidden, rng), vector(m.Hidden, rng)
		for h := range m.Heads {
			want := originalScore(t, m, h, x, y, float64(c.distance))
			if got := convertedScore(t, m, l, h, x, y, float64(c.distance)); math.Abs(got-want) > 1e-8*(1+math.Abs(want)) {
				t.Errorf("%v: score of head %d is %g, want %g", c, h, got, want)
			}
		}
		checkValues(t, m, l, y, 1e-8)
	}
}
