package fastblas

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

func TestSymv(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for _, n := range []int{0, 1, 5, 63, 64, 65, 66, 67, 131, 1027} {
		for _, ul := range []blas.Uplo{blas.Upper, blas.Lower} {
			for _, step := range []int{1, 3, -1, -2} {
				t.Run(fmt.Sprint(n, ul, step), func(t *testing.T) { trySymv(t, rng, ul, n, step) })
			}
		}
	}
}

// trySymv compares with gonum's. What lies outside the triangle is not a
// number.
func trySymv(t *testing.T, rng *rand.Rand, ul blas.Uplo, n, step int) {
	a := matrix[float64](n, n, 2, rng)
	for i := range n {
		for j := range n {
			if !triangle(ul).contains(i, j) {
				a[i*(n+2)+j] = math.NaN()
			}
		}
	}
	length := n * max(step, -step)
	x, y := noise[float64](length), noise[float64](length)
	for _, beta := range []float64{0, 1, -0.5} {
		agree(t, y, func(by library, y []float64) {
			by.double.Dsymv(ul, n, 0.3, a, n+2, x, step, beta, y, -step)
		})
	}
	for i := range y {
		y[i] = math.NaN()
	}
	agree(t, y, func(by library, y []float64) {
		by.double.Dsymv(ul, n, 0.3, a, n+2, x, step, 0, y, step)
	})
	if n > 3 {
		x[3*max(step, -step)] = math.Inf(1)
		agree(t, y, func(by library, y []float64) {
			by.double.Dsymv(ul, n, 0.3, a, n+2, x, step, 0, y, step)
		})
	}
}

// TestSymvProcessors holds results to the last bit over the number of
// processors.
func TestSymvProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	const n = 1100
	a, x := noise[float64](n*n), noise[float64](n)
	var first []float64
	for _, processors := range []int{1, 2, 5, 16} {
		runtime.GOMAXPROCS(processors)
		y := make([]float64, n)
		blas64.Implementation().Dsymv(blas.Upper, n, 1, a, n, x, 1, 0, y, 1)
		if first == nil {
			first = y
		}
		if !slices.Equal(first, y) {
			t.Errorf("other results on %d processors", processors)
		}
	}
}
