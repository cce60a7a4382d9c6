package linalg

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	_ "github.com/mha2mla/mha2mla/internal/fastblas" // products under mat and lapack
)

// directOrder is the order up to which gonum's algorithm, which needs no blocks, is as
// fast as this package's.
const directOrder = 48

// Eigen is a part of the eigendecomposition of a symmetric matrix:
//
//	a · Vectors[:, i] = Values[i] · Vectors[:, i]
type Eigen struct {
	Values  []float64  // all, in descending order
	Vectors *mat.Dense // [n × k], orthonormal columns, of the k largest

	// Fallback reports that the fast result failed its check, so that gonum's algorithm
	// computed this one. It is as good and took longer.
	Fallback bool
}

// TopSym returns the eigenvalues of the symmetric n×n matrix a and eigenvectors of
// the k largest. K is at least 1. It overwrites a, the unused half of its storage
// included. It is an error if a is not finite or the iteration does not converge; a
// zero matrix is no error. The method is LAPACK's dsyevd: Householder reflectors, then
// divide and conquer (Golub & Van Loan §8.3.1 and §8.4).
func TopSym(a *mat.SymDense, k int) (Eigen, error) { return topSym(a, k, topBlocked) }

// topSym is TopSym with a fast algorithm to try first.
func topSym(a *mat.SymDense, k int, fast func(blas64.Symmetric, int) ([]float64, *mat.Dense)) (Eigen, error) {
	raw := a.RawSymmetric()
	scale, err := rescale(raw)
	if err != nil {
		return Eigen{}, err
	}
	blocked := raw.N > directOrder
	if blocked {
		original := mirror(raw)
		values, vectors := fast(raw, k)
		if values != nil && original.confirms(values, vectors.RawMatrix()) {
			return Eigen{Values: unscale(values, scale), Vectors: vectors}, nil
		}
		original.restore()
	}
	values, vectors, err := topDirect(a, k)
	if err != nil {
		return Eigen{}, err
	}
	return Eigen{unscale(values, scale), vectors, blocked}, nil
}

// ValuesSym returns the eigenvalues of the symmetric matrix a in descending
// order, and computes no vectors. It overwrites a as TopSym does, and its errors are
// those of TopSym.
func ValuesSym(a *mat.SymDense) ([]float64, error) {
	raw := a.RawSymmetric()
	scale, err := rescale(raw)
	if err != nil {
		return nil, err
	}
	if raw.N > directOrder {
		original := mirror(raw)
		t, _ := reductionFor(raw.N, 0)(raw)
		if values, err := t.values(); err == nil && original.confirmsValues(values) {
			slices.Reverse(values)
			return unscale(values, scale), nil
		}
		original.restore()
	}
	values, _, err := topDirect(a, 0)
	return unscale(values, scale), err
}

// topBlocked is TopSym without its guards. The values are nil where it fails.
func topBlocked(a blas64.Symmetric, k int) ([]float64, *mat.Dense) {
	t, q := reductionFor(a.N, k)(a)
	return t.topOf(q, k)
}

// topOf is topBlocked for a matrix that is given as Q·T·Qᵀ. It overwrites t.
func (t tridiagonal) topOf(q orthogonal, k int) ([]float64, *mat.Dense) {
	values, z, err := t.top(k)
	if err != nil {
		return nil, nil
	}
	slices.Reverse(values)
	reverseColumns(z)
	q.apply(z)
	return values, dense(z)
}

// topDirect is TopSym by gonum's algorithm. It has gonum compute all vectors, wanted or
// not, because gonum's way without them panics where a part of the matrix is far smaller
// than the rest (see settle).
func topDirect(a *mat.SymDense, k int) ([]float64, *mat.Dense, error) {
	n := a.SymmetricDim()
	var eig mat.EigenSym
	if !eig.Factorize(a, true) {
		return nil, nil, fmt.Errorf("eigenvalues of a symmetric %d×%d matrix: %w", n, n, errNoConvergence)
	}
	values := eig.Values(nil)
	slices.Reverse(values)
	if k == 0 {
		return values, nil, nil
	}
	ascending := eig.RawQ()
	vectors := mat.NewDense(n, k, nil)
	for i := range n {
		for j := range k {
			vectors.Set(i, j, ascending.At(i, n-1-j))
		}
	}
	return values, vectors, nil
}
