package fastblas

import (
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/blas/gonum"
)

// workers are shared by all products.
var workers = new(crew)

// Each calls f for 0, …, n-1 from the caller and from the processors that neither
// products nor other calls of it are using.
func Each(n int, f func(i int)) { workers.each(workers.enter(n-1), n, f) }

func init() {
	shared := implementation{
		single: &engine[float32]{kernel: kernels[float32]()[0], workers: workers},
		double: &engine[float64]{kernel: kernels[float64]()[0], workers: workers},
		symv:   symvKernel(),
	}
	blas32.Use(shared)
	blas64.Use(shared)
}

// reference is gonum's implementation, which checks arguments and computes products that are
// too small to gain by packing.
type reference = gonum.Implementation

// implementation is gonum's with the products replaced.
type implementation struct {
	reference
	single *engine[float32]
	double *engine[float64]
	symv   symvRows // nil without a kernel
}
