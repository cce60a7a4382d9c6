package linalg

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestTinyParts: a matrix of which a part is far smaller than the rest has
// eigenvalues, and no algorithm panics on it.
func TestTinyParts(t *testing.T) {
	for _, n := range []int{2, 8, directOrder, directOrder + 1, 120} {
		for _, tiny := range []float64{1e-60, 1e-125, 1e-160, 1e-300, 5e-324} {
			a := mat.NewSymDense(n, nil)
			for i := range n {
				size := 1.0
				if i >= n/2 {
					size = tiny
				}
				for j := i; j < n && (i < n/2) == (j < n/2); j++ {
					a.SetSym(i, j, size/float64(1+i+j))
				}
			}
			b := mat.NewSymDense(n, nil)
			b.CopySym(a)
			values, err := ValuesSym(a)
			if err != nil {
				t.Fatal(err)
			}
			top, err := TopSym(b, n)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range values {
				if math.IsNaN(v) || math.Abs(v-top.Values[i]) > 1e-13 {
					t.Errorf("%d×%d with %g: value %d is %g and %g", n, n, tiny, i, v, top.Values[i])
				}
			}
		}
	}
}
