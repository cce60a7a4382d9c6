package fastblas

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas"
)

// TestTriangular compares with gonum's. What lies outside the triangle, and a
// diagonal that is one, is not a number.
func TestTriangular(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	for _, size := range [][2]int{{0, 0}, {3, 4}, {48, 8}, {8, 48}, {65, 50}, {50, 131}} {
		for _, side := range []blas.Side{blas.Left, blas.Right} {
			for _, ul := range []blas.Uplo{blas.Upper, blas.Lower} {
				for _, tA := range transposes {
					for _, diag := range []blas.Diag{blas.Unit, blas.NonUnit} {
						t.Run(fmt.Sprint(size, side, ul, tA, diag), func(t *testing.T) {
							tryTriangular(t, rng, side, ul, tA, diag, size[0], size[1])
						})
					}
				}
			}
		}
	}
}

func tryTriangular(t *testing.T, rng *rand.Rand, side blas.Side, ul blas.Uplo, tA blas.Transpose, diag blas.Diag, m, n int) {
	order := m
	if side == blas.Right {
		order = n
	}
	lda, ldb := order+2, n+3
	a, b := matrix[float64](order, order, 2, rng), matrix[float64](m, n, 3, rng)
	for i := range order {
		for j := range order {
			at := &a[i*lda+j]
			if !triangle(ul).contains(i, j) || i == j && diag == blas.Unit {
				*at = math.NaN()
				continue
			}
			*at /= float64(order)
			if i == j {
				*at += 2 // well conditioned
			}
		}
	}
	for _, alpha := range []float64{0, 1, -0.7} {
		agree(t, b, func(by library, b []float64) {
			by.double.Dtrmm(side, ul, tA, diag, m, n, alpha, a, lda, b, ldb)
		})
		agree(t, b, func(by library, b []float64) {
			by.double.Dtrsm(side, ul, tA, diag, m, n, alpha, a, lda, b, ldb)
		})
	}
}
