package rope

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestFold checks what defines the key of TransMLA: slots hold uncorrelated
// components of their block alone, real and the largest first, each served at the
// block's frequencies; with every block of one pair and one KV head nothing is lost.
func TestFold(t *testing.T) {
	const J = 8
	l := newLayer(6, 3, J, 60, 3)
	for _, c := range []struct{ dims, fold int }{{16, 1}, {8, 0}, {16, 4}, {8, 2}, {8, 8}, {4, 4}, {2, 8}} {
		key, err := Fold(&l.Moments, 10000, c.dims, c.fold)
		if err != nil {
			t.Fatal(err)
		}
		var product mat.Dense
		product.Mul(key.Collect, key.Expand)
		slots, step := c.dims/2, 2*J/c.dims
		if c.fold == 0 {
			c.fold = step
		}
		for s := range slots {
			if want := Frequencies(10000, 2*J)[s*step]; math.Abs(key.Frequencies[s]-want) > 1e-12*want {
				t.Errorf("%v: slot %d turns at %g, pair %d at %g", c, s, key.Frequencies[s], s*step, want)
			}
			for other := range slots {
				want := map[bool]float64{true: 1}[s == other]
				if got := product.At(2*s, 2*other); math.Abs(got-want) > 1e-9 {
					t.Errorf("%v: Collect·Expand of slots %d and %d is %g", c, s, other, got)
				}
			}
			if first := key.Serves[s][0]; first != s*step/c.fold*c.fold || len(key.Serves[s]) != c.fold {
				t.Errorf("%v: slot %d serves %v", c, s, key.Serves[s])
			}
			for row := range l.kvHeads * 2 * J {
				// real: the real part comes of real parts, and of the block's pairs alone
				inBlock := row%J/c.fold == s*step/c.fold
				if got := key.Collect.At(2*s, row); got != 0 && (row/J%2 == 1 || !inBlock) {
					t.Errorf("%v: slot %d takes %g of row %d", c, s, got, row)
				}
			}
			if s*step%c.fold != 0 && carried(l, key, s) > carried(l, key, s-1)*(1+1e-9) {
				t.Errorf("%v: slot %d carries more than the one before", c, s)
			}
		}
	}
	single := newLayer(4, 1, J, 30, 5)
	key, err := Fold(&single.Moments, 10000, 2*J, 1)
	if err != nil {
		t.Fatal(err)
	}
	for h, lost := range key.Lost {
		if lost > 1e-12 {
			t.Errorf("head %d loses %g with every pair in a slot of its own", h, lost)
		}
	}
}

// carried is the energy of the keys that a slot carries.
func carried(l *layer, key *SharedKey, slot int) float64 {
	expand := mat.Norm(key.Expand.ColView(2*slot), 2)
	return expand * expand * meanSquare(l, key, slot)
}

// meanSquare is the mean square of a slot's two rotary dimensions.
func meanSquare(l *layer, key *SharedKey, slot int) float64 {
	var keys mat.Dense
	keys.Mul(key.Collect.Slice(2*slot, 2*slot+2, 0, l.kvHeads*2*l.pairs), l.k)
	norm := mat.Norm(&keys, 2)
	return norm * norm / 2
}

func TestFoldRefuses(t *testing.T) {
	l := newLayer(2, 1, 6, 20, 5)
	for _, c := range []struct{ dims, fold int }{{8, 2}, {4, 2}, {12, 4}, {24, 1}, {6, 1}} {
		if _, err := Fold(&l.Moments, 10000, c.dims, c.fold); err == nil {
			t.Errorf("%v: no error", c)
		}
	}
	dead := newLayer(4, 2, 4, 20, 6)
	dead.Keys = mat.NewSymDense(16, nil)
	key, err := Fold(&dead.Moments, 10000, 4, 2)
	if err != nil || mat.Norm(key.Collect, 1) != 0 || mat.Norm(key.Expand, 1) != 0 {
		t.Errorf("dead keys: %v", err)
	}
}
