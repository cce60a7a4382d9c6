package fastblas

import "gonum.org/v1/gonum/blas"

// Ssyrk computes a triangle of C = alpha·A·Aᵀ + beta·C, with A [n × k], or
// C = alpha·Aᵀ·A + beta·C, with A [k × n]. It panics where gonum's does.
func (f implementation) Ssyrk(ul blas.Uplo, tA blas.Transpose, n, k int, alpha float32, a []float32, lda int, beta float32, c []float32, ldc int) {
	if small(n, n, k) || !isTriangle(ul) {
		f.reference.Ssyrk(ul, tA, n, k, alpha, a, lda, beta, c, ldc)
		return
	}
	f.reference.Sgemm(tA, opposite(tA), n, n, k, 0, a, lda, a, lda, 1, c, ldc)
	x := view(a, lda, tA != blas.NoTrans)
	f.single.multiply(product[float32]{
		m: n, n: n, k: k, alpha: alpha, beta: beta,
		a: x, b: x.transpose(), c: c, ldc: ldc, part: triangle(ul),
	})
}

// Dsyrk is Ssyrk in double precision.
func (f implementation) Dsyrk(ul blas.Uplo, tA blas.Transpose, n, k int, alpha float64, a []float64, lda int, beta float64, c []float64, ldc int) {
	if small(n, n, k) || !isTriangle(ul) {
		f.reference.Dsyrk(ul, tA, n, k, alpha, a, lda, beta, c, ldc)
		return
	}
	f.reference.Dgemm(tA, opposite(tA), n, n, k, 0, a, lda, a, lda, 1, c, ldc)
	x := view(a, lda, tA != blas.NoTrans)
	f.double.multiply(product[float64]{
		m: n, n: n, k: k, alpha: alpha, beta: beta,
		a: x, b: x.transpose(), c: c, ldc: ldc, part: triangle(ul),
	})
}

// isTriangle reports whether ul names a triangle.
func isTriangle(ul blas.Uplo) bool { return ul == blas.Upper || ul == blas.Lower }

// triangle returns the part of a matrix that ul names.
func triangle(ul blas.Uplo) part {
	if ul == blas.Upper {
		return upper
	}
	return lower
}

// opposite returns the transposition of the other factor of a symmetric product.
func opposite(t blas.Transpose) blas.Transpose {
	if t == blas.NoTrans {
		return blas.Trans
	}
	return blas.NoTrans
}
