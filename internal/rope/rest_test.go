package rope

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestRestIsBest: no constant is nearer to a rotation over the distances of a head than
// its rest, and what that leaves is the share that Lost says.
func TestRestIsBest(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 1))
	p := make(Distances, 50)
	total := 0.0
	for i := range p {
		p[i] = rng.ExpFloat64()
		total += p[i]
	}
	for i := range p {
		p[i] /= total
	}
	m := &Moments{Heads: []Distances{p}}
	frequencies := []float64{1, 0.2, 0.01}
	off := func(omega float64, constant complex128) float64 {
		sum := 0.0
		for d, v := range p {
			e := cmplx.Abs(cmplx.Rect(1, omega*float64(d)) - constant)
			sum += v * e * e
		}
		return sum
	}
	for i, rho := range m.Rest(0, frequencies) {
		best := off(frequencies[i], rho)
		if math.Abs(best-p.Lost(frequencies[i])) > 1e-12 {
			t.Errorf("pair %d loses %g, not %g", i, best, p.Lost(frequencies[i]))
		}
		for range 20 {
			if other := rho + complex(rng.NormFloat64(), rng.NormFloat64())*0.1; off(frequencies[i], other) <= best {
				t.Errorf("pair %d: %v is better than %v", i, other, rho)
			}
		}
	}
}

// TestRestTurns holds the three ways to turn a query against complex products.
func TestRestTurns(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 2))
	r := Rest{complex(0.3, -0.8), complex(-0.1, 0.2), 0}
	J := len(r)
	q := mat.NewDense(2*J, 7, nil)
	q.Apply(func(_, _ int, _ float64) float64 { return rng.NormFloat64() }, q)
	turned := r.Turn(q)
	for i, rho := range r {
		for n := range 7 {
			want := rho * complex(q.At(i, n), q.At(i+J, n))
			if got := complex(turned.At(i, n), turned.At(i+J, n)); cmplx.Abs(got-want) > 1e-15 {
				t.Fatalf("pair %d becomes %v, want %v", i, got, want)
			}
		}
	}
	var before, after mat.SymDense
	before.SymOuterK(1, q)
	after.SymOuterK(1, turned)
	if got := r.TurnMoments(&before); !mat.EqualApprox(got, &after, 1e-12) {
		t.Error("the moments are not those of the turned queries")
	}
	row := make([]float32, 2*J)
	for i := range row {
		row[i] = float32(q.At(i, 3))
	}
	r.TurnRow(row)
	for i, v := range row {
		if math.Abs(float64(v)-turned.At(i, 3)) > 1e-6 {
			t.Errorf("element %d of a row becomes %g, want %g", i, v, turned.At(i, 3))
		}
	}
	if got := Rest(nil).Turn(q); !mat.Equal(got, q) {
		t.Error("no rest changes something")
	}
}
