package linalg

import "gonum.org/v1/gonum/blas/blas64"

// orthogonal is an orthogonal matrix Q, [n × n].
type orthogonal interface {
	apply(z blas64.General) // sets z, [n × k], to Q·z
}

// reduction brings a symmetric matrix A, of which it overwrites the upper triangle,
// to the tridiagonal form T of A = Q·T·Qᵀ.
type reduction func(a blas64.Symmetric) (tridiagonal, orthogonal)

// reductionFor returns the faster reduction of a matrix of order n, of which k
// eigenvectors are wanted. Half the work of reducing it at once is products with
// vectors, which wait for memory where the matrix is large. By way of a band nearly
// all the work is products of matrices, but every eigenvector has to be transformed
// twice (BenchmarkReduction).
func reductionFor(n, k int) reduction {
	const large = 2048
	if n >= large && 3*k <= n {
		return inTwoStages
	}
	return atOnce
}

// atOnce is the reduction by tridiagonalise.
func atOnce(a blas64.Symmetric) (tridiagonal, orthogonal) {
	t, q := tridiagonalise(a)
	return t, q
}

// inTwoStages is the reduction by way of a band.
func inTwoStages(a blas64.Symmetric) (tridiagonal, orthogonal) {
	b, outer := reduceToBand(a)
	t, inner := b.tridiagonalise()
	return t, stages{outer, inner}
}

// stages is the product of two orthogonal matrices.
type stages struct{ outer, inner orthogonal }

// apply sets z, [n × k], to outer·inner·z.
func (s stages) apply(z blas64.General) {
	s.inner.apply(z)
	s.outer.apply(z)
}
