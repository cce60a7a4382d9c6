package fastblas

import "gonum.org/v1/gonum/blas"

// Sgemm computes C = alpha·op(A)·op(B) + beta·C, where op(A) is [m × k],
// op(B) [k × n] and C [m × n]. It panics where gonum's does.
func (f implementation) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	if small(m, n, k) {
		f.reference.Sgemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
		return
	}
	// With these factors the reference checks the arguments and returns.
	f.reference.Sgemm(tA, tB, m, n, k, 0, a, lda, b, ldb, 1, c, ldc)
	f.single.multiply(product[float32]{
		m: m, n: n, k: k, alpha: alpha, beta: beta,
		a: view(a, lda, tA != blas.NoTrans), b: view(b, ldb, tB != blas.NoTrans), c: c, ldc: ldc,
	})
}

// Dgemm is Sgemm in double precision.
func (f implementation) Dgemm(tA, tB blas.Transpose, m, n, k int, alpha float64, a []float64, lda int, b []float64, ldb int, beta float64, c []float64, ldc int) {
	if small(m, n, k) {
		f.reference.Dgemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
		return
	}
	f.reference.Dgemm(tA, tB, m, n, k, 0, a, lda, b, ldb, 1, c, ldc)
	f.double.multiply(product[float64]{
		m: m, n: n, k: k, alpha: alpha, beta: beta,
		a: view(a, lda, tA != blas.NoTrans), b: view(b, ldb, tB != blas.NoTrans), c: c, ldc: ldc,
	})
}

// small reports whether packing costs more than it gains: the product takes few
// operations, or uses each number packed only a few times.
func small(m, n, k int) bool {
	return min(m, n) <= 3 || m*n*k <= 1<<10
}
