package linalg

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestMetric holds every operation against C written out.
func TestMetric(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	const n, d = 5, 9
	noise := func(r, c int) *mat.Dense {
		m := mat.NewDense(r, c, nil)
		m.Apply(func(int, int, float64) float64 { return rng.NormFloat64() }, m)
		return m
	}
	full := mat.NewSymDense(d, nil)
	full.SymOuterK(1, noise(d, d+1))
	root := []float64{1, 2, 3, 0.5, 1e-3, 7, 1, 1, 4}
	diagonal := mat.NewSymDense(d, nil)
	for i, v := range root {
		diagonal.SetSym(i, i, v*v)
	}
	m, err := NewMetric(full)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		metric Metric
		want   *mat.SymDense
	}{"full": {m, full}, "diagonal": {DiagonalMetric(root), diagonal}} {
		x := noise(n, d)
		var want mat.Dense
		want.Product(x, c.want, x.T())
		if got := c.metric.Gram(mat.DenseCopyOf(x)); !mat.EqualApprox(got, &want, 1e-10) {
			t.Errorf("%s: Gram is off", name)
		}
		y := mat.DenseCopyOf(x)
		c.metric.Apply(y)
		c.metric.Undo(y)
		if !mat.EqualApprox(x, y, 1e-10) {
			t.Errorf("%s: Undo does not undo Apply", name)
		}
		if got, want := c.metric.Trace(), mat.Trace(c.want); math.Abs(got-want) > 1e-10*want {
			t.Errorf("%s: trace %g, want %g", name, got, want)
		}
		if c.metric.IsIdentity() {
			t.Errorf("%s taken for the identity", name)
		}
	}
	x := noise(n, d)
	y := mat.DenseCopyOf(x)
	var identity Metric
	identity.Apply(y)
	identity.Undo(y)
	if !identity.IsIdentity() || !mat.Equal(x, y) || !math.IsNaN(identity.Trace()) {
		t.Error("the zero value is not the identity")
	}
	if _, err := NewMetric(mat.NewSymDense(3, nil)); err == nil {
		t.Error("took a matrix that is not positive definite")
	}
	dead := mat.NewDense(1, 2, []float64{3, 4})
	DiagonalMetric([]float64{0, 2}).Undo(dead)
	if dead.At(0, 0) != 0 || dead.At(0, 1) != 2 {
		t.Errorf("an input that is always zero: %v", mat.Formatted(dead))
	}
}
