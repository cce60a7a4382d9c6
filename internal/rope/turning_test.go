package rope

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestTurning holds the moments against the keys themselves, turned back pair by
// pair for every distance.
func TestTurning(t *testing.T) {
	const D, J, samples = 6, 3, 4
	rng := rand.New(rand.NewPCG(1, 9))
	keys := mat.NewDense(D, samples, nil)
	for i := range D {
		for s := range samples {
			keys.Set(i, s, rng.NormFloat64())
		}
	}
	moments := mat.NewSymDense(D, nil)
	moments.SymOuterK(1, keys)
	frequencies := []float64{1, 0.3, 0.05}
	for _, p := range []Distances{{1}, {0, 0, 1}, {0.25, 0.5, 0.125, 0.125}} {
		want := mat.NewSymDense(D, nil)
		for distance, probability := range p {
			back, square := mat.NewDense(D, samples, nil), mat.NewSymDense(D, nil)
			for i, omega := range frequencies {
				for s := range samples {
					z := complex(keys.At(i, s), keys.At(i+J, s)) * cmplx.Exp(complex(0, -omega*float64(distance)))
					back.Set(i, s, real(z))
					back.Set(i+J, s, imag(z))
				}
			}
			square.SymOuterK(probability, back)
			want.AddSym(want, square)
		}
		got := p.Turning(frequencies)(moments)
		for i := range D {
			for j := range D {
				if math.Abs(got.At(i, j)-want.At(i, j)) > 1e-12 {
					t.Errorf("%v: (%d, %d) is %g, want %g", p, i, j, got.At(i, j), want.At(i, j))
				}
			}
		}
	}
}
