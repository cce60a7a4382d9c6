// Package fastblas makes matrix products fast. It registers, with gonum's
// blas32 and blas64, an implementation that computes
//
//	Gemm    C = alpha·op(A)·op(B) + beta·C
//	Syrk    C = alpha·A·Aᵀ + beta·C, one triangle of C
//	Syr2k   C = alpha·(A·Bᵀ + B·Aᵀ) + beta·C, likewise, in double precision
//	Trmm    B = alpha·op(A)·B or alpha·B·op(A), A triangular, likewise
//	Trsm    B = alpha·op(A)⁻¹·B or alpha·B·op(A)⁻¹, likewise
//	Symv    y = alpha·A·x + beta·y, A symmetric, likewise
//
// on kernels for the processor at hand, products of matrices from packed,
// cache-sized blocks, and leaves every other routine to gonum. What is built on
// those interfaces, gonum's mat and lapack included, gains without knowing.
//
// Importing the package registers it; that is all there is to it, but for Each, by which
// other work joins in sharing the processors. A result does
// not depend on how many goroutines computed it: every element of C is summed
// in the same order, to the last bit, whatever GOMAXPROCS is. It does depend on
// the processor, by rounding.
//
// NaN and infinity propagate as in the reference BLAS: alpha = 0 leaves A and B
// unread, beta = 0 leaves C unread, and no other zero is skipped, except in
// products small enough to be left to gonum.
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

// reference is gonum's implementation, which checks arguments and computes
// what is too small to gain.
type reference = gonum.Implementation

// implementation is gonum's with the products replaced.
type implementation struct {
	reference
	single *engine[float32]
	double *engine[float64]
	symv   symvRows // nil without a kernel
}
