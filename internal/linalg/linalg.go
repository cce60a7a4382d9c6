// Package linalg holds the dense linear algebra that the conversion is made of:
// the leading eigenvectors of symmetric and of complex Hermitian matrices.
//
// Callers see two functions and no library; how they are computed, and how
// fast, is this package's own business. Today it is gonum's, on the products of
// package fastblas.
package linalg

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	_ "github.com/mha2mla/mha2mla/internal/fastblas" // products under mat and lapack
)

// TopSym returns the eigenvalues of the symmetric n×n matrix a, all of them in
// descending order, and orthonormal eigenvectors of the k largest as the
// columns of an n×k matrix:
//
//	a · vectors[:, i] = values[i] · vectors[:, i]
//
// It overwrites a. It is an error if a is not finite or the iteration does not
// converge; a zero matrix is neither.
func TopSym(a *mat.SymDense, k int) (values []float64, vectors *mat.Dense, err error) {
	var eig mat.EigenSym
	if values, err = factorize(&eig, a, true); err != nil {
		return nil, nil, err
	}
	n := a.SymmetricDim()
	ascending := eig.RawQ()
	vectors = mat.NewDense(n, k, nil)
	for j := range k {
		for i := range n {
			vectors.Set(i, j, ascending.At(i, n-1-j))
		}
	}
	return values, vectors, nil
}

// ValuesSym returns the eigenvalues of the symmetric matrix a in descending
// order, at a fraction of the cost of TopSym. It overwrites a; errors are those
// of TopSym.
func ValuesSym(a *mat.SymDense) ([]float64, error) {
	return factorize(new(mat.EigenSym), a, false)
}

// factorize runs eig on a divided by its largest magnitude, because the
// library's iteration panics on very small matrices, and refuses what is not
// finite, because it answers NaN to that with no error.
func factorize(eig *mat.EigenSym, a *mat.SymDense, vectors bool) ([]float64, error) {
	n := a.SymmetricDim()
	norm := 0.0
	for i := range n {
		for j := i; j < n; j++ {
			v := math.Abs(a.At(i, j))
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("matrix is not finite at (%d, %d)", i, j)
			}
			norm = max(norm, v)
		}
	}
	if norm > 0 {
		for i := range n {
			for j := i; j < n; j++ {
				a.SetSym(i, j, a.At(i, j)/norm)
			}
		}
	}
	if !eig.Factorize(a, vectors) {
		return nil, fmt.Errorf("eigenvalues of a symmetric %d×%d matrix: no convergence", n, n)
	}
	values := make([]float64, n)
	for i, v := range eig.RawValues() {
		values[n-1-i] = v * norm
	}
	return values, nil
}
