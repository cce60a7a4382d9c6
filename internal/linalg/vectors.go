package linalg

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// reflected is a symmetric matrix A = Q·B·Qᵀ reduced to a band B by Householder
// reflectors, Q = H₀·H₁⋯, H_j = I − tau_j·v_j·v_jᵀ. The vector v_j is zero up to
// element j+band−1 and one at j+band; from there on it is stored in row j of the
// upper triangle of a.
type reflected struct {
	a    blas64.Symmetric
	tau  []float64
	band int // number of diagonals above the main one
}

// apply sets z, [n × k], to Q·z, the reflectors of the last panel first.
func (r reflected) apply(z blas64.General) {
	n := r.a.N
	storage := newGeneral(panelWidth, n)
	for from := lastGroup(n-r.band, panelWidth); from >= 0; from -= panelWidth {
		b := r.block(from, min(n-r.band, from+panelWidth), storage)
		b.apply(general(b.v.Cols, z.Cols, z.Stride, z.Data[b.row*z.Stride:]))
	}
}

// lastGroup returns where the last group begins if n things are put into groups of the
// given size. It is negative if there are none.
func lastGroup(n, size int) int { return (n+size-1)/size*size - size }

// block returns the product of reflectors from … to−1. Their vectors are written to
// storage, which the result shares.
func (r reflected) block(from, to int, storage blas64.General) blockReflector {
	row := from + r.band
	v := general(to-from, r.a.N-row, storage.Stride, storage.Data)
	for j := from; j < to; j++ {
		to := v.Data[(j-from)*v.Stride:][:v.Cols]
		clear(to[:j-from])
		copy(to[j-from:], upperRow(r.a, j)[r.band:])
	}
	return newBlockReflector(row, v, r.tau[from:to])
}

// blockReflector is a product of reflectors, for the rows from row on:
//
//	P = H₀·H₁⋯ = I − Vᵀ·T·V = I − Uᵀ·V,   U = Tᵀ·V
//
// (Schreiber & Van Loan, SIAM J. Sci. Stat. Comput. 10, 53–57; LAPACK's dlarft and
// dlarfb).
type blockReflector struct {
	row  int
	u, v blas64.General // [reflectors × rows]
}

// newBlockReflector returns the product of the reflectors I − tau_i·v_i·v_iᵀ, whose
// vectors are the rows of v.
func newBlockReflector(row int, v blas64.General, tau []float64) blockReflector {
	b := blockReflector{row, newGeneral(v.Rows, v.Cols), v}
	blas64.Gemm(blas.Trans, blas.NoTrans, 1, triangle(v, tau), v, 0, b.u)
	return b
}

// triangle returns the upper triangular T, [w × w]. Its column i is tau_i on the
// diagonal and −tau_i·T·(Vᵀv_i) above.
func triangle(v blas64.General, tau []float64) blas64.General {
	w := v.Rows
	gram, t := newGeneral(w, w), newGeneral(w, w)
	blas64.Gemm(blas.NoTrans, blas.Trans, 1, v, v, 0, gram)
	for i := range w {
		for row := range i {
			sum := 0.0
			for l := row; l < i; l++ {
				sum += t.Data[row*w+l] * gram.Data[l*w+i]
			}
			t.Data[row*w+i] = -tau[i] * sum
		}
		t.Data[i*w+i] = tau[i]
	}
	return t
}

// apply sets z, [rows × k], to P·z.
func (b blockReflector) apply(z blas64.General) {
	vz := newGeneral(b.v.Rows, z.Cols)
	blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, b.v, z, 0, vz)
	blas64.Gemm(blas.Trans, blas.NoTrans, -1, b.u, vz, 1, z)
}

// applyRight sets z, [k × rows], to z·P.
func (b blockReflector) applyRight(z blas64.General) {
	zu := newGeneral(z.Rows, b.v.Rows)
	blas64.Gemm(blas.NoTrans, blas.Trans, 1, z, b.u, 0, zu)
	blas64.Gemm(blas.NoTrans, blas.NoTrans, -1, zu, b.v, 1, z)
}

// applyBoth sets the symmetric a, [rows × rows], to
//
//	Pᵀ·a·P = a − Vᵀ·W − Wᵀ·V,   W = X − ½·(X·Uᵀ)·V,   X = U·a.
func (b blockReflector) applyBoth(a blas64.Symmetric) {
	w, xu := newGeneral(b.v.Rows, b.v.Cols), newGeneral(b.v.Rows, b.v.Rows)
	symmetricTimes(w, b.u, a)
	blas64.Gemm(blas.NoTrans, blas.Trans, 1, w, b.u, 0, xu)
	blas64.Gemm(blas.NoTrans, blas.NoTrans, -0.5, xu, b.v, 1, w)
	blas64.Syr2k(blas.Trans, -1, b.v, w, 1, a)
}
