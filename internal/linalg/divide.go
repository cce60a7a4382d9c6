package linalg

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack"
)

// errNoConvergence says that an iteration for eigenvalues has not come to an end.
var errNoConvergence = &NumericError{"no convergence"}

// divideLeaf is the order below which a tridiagonal matrix is not divided.
const divideLeaf = 32

// top returns the eigenvalues of t, [n] ascending, and eigenvectors of the k
// largest, [n × k] in the same order, by divide and conquer: T is two tridiagonal
// halves and a matrix of rank one,
//
//	T = diag(T₁, T₂) + ρ·v·vᵀ,
//
// so that its eigenvalues are the roots of a secular equation in those of the
// halves (Cuppen; Gu & Eisenstat, SIAM J. Matrix Anal. Appl. 16, 172–191; LAPACK's
// dstedc; Golub & Van Loan §8.4). Clusters only make it faster, and its vectors
// are orthogonal whatever the spectrum. Most of the work is matrix products, and only
// k columns of the last one are computed. It overwrites t. It is an error if an
// iteration does not converge.
func (t tridiagonal) top(k int) (values []float64, vectors blas64.General, err error) {
	n := len(t.diagonal)
	vectors = newGeneral(n, n)
	values, err = t.divide(vectors, k)
	if err != nil {
		return nil, blas64.General{}, err
	}
	vectors.Cols = k
	return values, compact(vectors), nil // a copy, so that all n columns are not held any longer
}

// divide writes eigenvectors of the k largest eigenvalues into the first k columns
// of q, [n × n] zero, and returns all eigenvalues, ascending.
func (t tridiagonal) divide(q blas64.General, k int) ([]float64, error) {
	n := len(t.diagonal)
	if n <= divideLeaf {
		return t.solve(q, k)
	}
	m := n / 2
	e := t.beside[m-1]
	upper := tridiagonal{t.diagonal[:m], t.beside[:m-1]}
	lower := tridiagonal{t.diagonal[m:], t.beside[m:]}
	upper.diagonal[m-1] -= math.Abs(e)
	lower.diagonal[0] -= math.Abs(e)
	halves := [2]tridiagonal{upper, lower}
	squares := [2]blas64.General{
		general(m, m, q.Stride, q.Data),
		general(n-m, n-m, q.Stride, q.Data[m*q.Stride+m:]),
	}
	var values [2][]float64
	var errs [2]error
	parallel(2, func(i int) {
		values[i], errs[i] = halves[i].divide(squares[i], squares[i].Cols)
	})
	if err := errors.Join(errs[0], errs[1]); err != nil {
		return nil, err
	}
	return newMerge(q, values[0], values[1], e).run(k), nil
}

// solve is divide for a small matrix, by implicit QR steps.
func (t tridiagonal) solve(q blas64.General, k int) ([]float64, error) {
	n := len(t.diagonal)
	z := newGeneral(n, n)
	beside := make([]float64, n)
	copy(beside, t.beside)
	if !netlib.Dsteqr(lapack.EVTridiag, n, t.diagonal, beside, z.Data, n, make([]float64, max(1, 2*n))) {
		return nil, errNoConvergence
	}
	for i := range n {
		copy(q.Data[i*q.Stride:i*q.Stride+k], z.Data[(i+1)*n-k:(i+1)*n])
	}
	return t.diagonal, nil
}

// negligible is the part of a matrix's largest element below which an element is far
// too small to change any eigenvalue by more than rounding.
const negligible = 1e-80

// settle sets elements that are negligible to zero. Dsterf scales the blocks that a
// matrix falls into one by one, and gonum's version panics on a block whose norm is
// below 1e-122.
func (t tridiagonal) settle() {
	norm := 0.0
	for _, part := range [][]float64{t.diagonal, t.beside} {
		for _, v := range part {
			norm = max(norm, math.Abs(v))
		}
	}
	for _, part := range [][]float64{t.diagonal, t.beside} {
		for i, v := range part {
			if math.Abs(v) < negligible*norm {
				part[i] = 0
			}
		}
	}
}

// values returns the eigenvalues of t, ascending, by QR steps without square roots
// (LAPACK's dsterf). It overwrites t. It is an error if they do not converge.
func (t tridiagonal) values() ([]float64, error) {
	t.settle()
	if !netlib.Dsterf(len(t.diagonal), t.diagonal, t.beside) {
		return nil, errNoConvergence
	}
	return t.diagonal, nil
}
