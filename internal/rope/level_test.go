package rope

import (
	"math"
	"testing"
)

// TestLevel: the slots' mean squares are in the proportion of what the same error
// of each costs the scores, which is where a common step loses least, and no other
// scale of a slot is better.
func TestLevel(t *testing.T) {
	l := newLayer(6, 3, 8, 40, 3)
	freq := Frequencies(10000, 16)
	key, err := Share(&l.Moments, freq, all(8), Slots{Dims: 16, Theta: 1000})
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{Moments: &l.Moments, SharedKey: key}
	n := len(key.Frequencies)
	cost, square := make([]float64, n), make([]float64, n)
	for s := range n {
		cost[s], square[s] = b.cost(s), meanSquare(l, key, s)
		if got, want := cost[s]/square[s], cost[0]/square[0]; math.Abs(got-want) > 1e-9*want {
			t.Errorf("slot %d: cost %g at mean square %g", s, cost[s], square[s])
		}
	}
	loss := func(other int, factor float64) float64 {
		costs, squares := 0.0, 0.0
		for s := range n {
			f := 1.0
			if s == other {
				f = factor
			}
			costs, squares = costs+cost[s]/f, squares+square[s]*f
		}
		return costs * squares
	}
	for s := range n {
		for _, factor := range []float64{0.5, 0.9, 1.1, 2} {
			if loss(s, factor) < loss(s, 1) {
				t.Errorf("slot %d would be better at %g times its mean square", s, factor)
			}
		}
	}
}
