package linalg

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestSkew holds the products against sums over the whole matrix, with one and
// with several chunks, inside a wider matrix.
func TestSkew(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	for _, m := range []int{1, 2, 3, 4, 5, 63, 300, 517} {
		t.Run(fmt.Sprint(m), func(t *testing.T) {
			stride := m + 3
			a, xRe, xIm := noise(m*stride, rng), noise(m, rng), noise(m, rng)
			yRe, yIm := noise(m, rng), noise(m, rng)
			wantRe, wantIm := append([]float64(nil), yRe...), append([]float64(nil), yIm...)
			for i := range m {
				for j := i + 1; j < m; j++ {
					v := a[i*stride+j]
					wantRe[i] -= v * xIm[j]
					wantRe[j] += v * xIm[i]
					wantIm[i] += v * xRe[j]
					wantIm[j] -= v * xRe[i]
				}
			}
			newSkewProduct(m).addProducts(yRe, yIm, a, stride, xRe, xIm)
			for i := range m {
				if math.Abs(yRe[i]-wantRe[i]) > 1e-13*float64(m) || math.Abs(yIm[i]-wantIm[i]) > 1e-13*float64(m) {
					t.Fatalf("element %d is %g, %g, want %g, %g", i, yRe[i], yIm[i], wantRe[i], wantIm[i])
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
