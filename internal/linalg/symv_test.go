package linalg

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// TestSymv holds the product against gonum's, over orders with and without a
// remainder and with one and several chunks, inside a wider matrix.
func TestSymv(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	for _, m := range []int{1, 2, 3, 4, 5, 7, 8, 63, 64, 300, 517} {
		t.Run(fmt.Sprint(m), func(t *testing.T) {
			stride := m + 3
			a, x := noise(m*stride, rng), noise(m, rng)
			got, want := noise(m, rng), make([]float64, m)
			newSymv(m).multiply(got, a, stride, x)
			blas64.Symv(1, blas64.Symmetric{Uplo: blas.Upper, N: m, Stride: stride, Data: a}, vector(x), 0, vector(want))
			for i := range want {
				if math.Abs(got[i]-want[i]) > 1e-14*float64(m) {
					t.Fatalf("element %d is %g, want %g", i, got[i], want[i])
				}
			}
		})
	}
}

// noise returns n normal deviates.
func noise(n int, rng *rand.Rand) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = rng.NormFloat64()
	}
	return v
}

func BenchmarkSymv(b *testing.B) {
	for _, m := range []int{256, 1024, 2048} {
		rng := rand.New(rand.NewPCG(8, 8))
		a, x, y := noise(m*m, rng), noise(m, rng), make([]float64, m)
		b.Run(fmt.Sprint(m), func(b *testing.B) {
			s := newSymv(m)
			b.SetBytes(int64(m * m / 2 * 8))
			for b.Loop() {
				s.multiply(y, a, m, x)
			}
		})
		b.Run(fmt.Sprintf("%d/gonum", m), func(b *testing.B) {
			b.SetBytes(int64(m * m / 2 * 8))
			for b.Loop() {
				blas64.Symv(1, blas64.Symmetric{Uplo: blas.Upper, N: m, Stride: m, Data: a}, vector(x), 0, vector(y))
			}
		})
	}
}
