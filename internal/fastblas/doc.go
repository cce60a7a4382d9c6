// Package fastblas decides how products of matrices run on the processor at hand.
//
// It registers, with gonum's blas32 and blas64, an implementation that computes
//
//	Gemm    C = alpha·op(A)·op(B) + beta·C
//	Syrk    C = alpha·A·Aᵀ + beta·C, one triangle of C
//	Syr2k   C = alpha·(A·Bᵀ + B·Aᵀ) + beta·C, likewise, in double precision
//	Trmm    B = alpha·op(A)·B or alpha·B·op(A), A triangular, likewise
//	Trsm    B = alpha·op(A)⁻¹·B or alpha·B·op(A)⁻¹, likewise
//	Symv    y = alpha·A·x + beta·y, A symmetric, likewise
//
// on kernels for that processor, and leaves every other routine to gonum. Products of
// matrices are made of packed blocks of the size of its caches. Everything that is built on
// these interfaces becomes faster by it, gonum's mat and lapack included.
//
// Importing the package registers it. Its only other part is Each, by which other work
// shares the processors with products. A result does not depend on how many
// goroutines computed it: every element of C is summed in the same order, to the last
// bit, whatever GOMAXPROCS is. It does depend on the processor, by rounding.
//
// NaN and infinity propagate as in the reference BLAS: alpha = 0 leaves A and B
// unread, beta = 0 leaves C unread, and no other zero is skipped, except in
// products small enough to be left to gonum.
package fastblas
