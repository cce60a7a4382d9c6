package fastblas

import "gonum.org/v1/gonum/blas"

// Dsyr2k computes a triangle of C = alpha·(A·Bᵀ + B·Aᵀ) + beta·C, with A and B
// [n × k], or C = alpha·(Aᵀ·B + Bᵀ·A) + beta·C, with A and B [k × n]. It panics
// where gonum's does.
func (f implementation) Dsyr2k(ul blas.Uplo, tA blas.Transpose, n, k int, alpha float64, a []float64, lda int, b []float64, ldb int, beta float64, c []float64, ldc int) {
	if small(n, n, k) || !isTriangle(ul) {
		f.reference.Dsyr2k(ul, tA, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
		return
	}
	f.reference.Dgemm(tA, opposite(tA), n, n, k, 0, a, lda, b, ldb, 1, c, ldc)
	x, y := view(a, lda, tA != blas.NoTrans), view(b, ldb, tA != blas.NoTrans)
	half := product[float64]{m: n, n: n, k: k, alpha: alpha, beta: beta, c: c, ldc: ldc, part: triangle(ul)}
	half.a, half.b = x, y.transpose()
	f.double.multiply(half)
	half.a, half.b = y, x.transpose()
	half.beta = 1
	f.double.multiply(half)
}
