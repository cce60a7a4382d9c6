package linalg

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// reflected is a symmetric matrix A = Q·T·Qᵀ reduced to tridiagonal T by n−1
// Householder reflectors, Q = H₀·H₁⋯, H_j = I − tau_j·v_j·v_jᵀ. The vector v_j is
// zero up to element j and one at j+1; from there on it is stored in row j of the
// upper triangle of a.
type reflected struct {
	a   blas64.Symmetric
	tau []float64
}

// apply sets z, [n × k], to Q·z. The reflectors of a panel are applied together as
// I − V·T·Vᵀ (Schreiber & Van Loan, SIAM J. Sci. Stat. Comput. 10, 53–57; LAPACK's
// dlarft and dlarfb), those of the last panel first.
func (r reflected) apply(z blas64.General) {
	n := r.a.N
	storage := newGeneral(panelWidth, n)
	for from := lastPanel(n); from >= 0; from -= panelWidth {
		v := r.panel(from, min(n-1, from+panelWidth), storage)
		r.applyPanel(from, v, general(v.Cols, z.Cols, z.Stride, z.Data[(from+1)*z.Stride:]))
	}
}

// lastPanel returns the first reflector of the last panel of n−1 reflectors;
// negative if there are none.
func lastPanel(n int) int {
	if n < 2 {
		return -1
	}
	return (n - 2) / panelWidth * panelWidth
}

// panel returns the vectors of reflectors from … to−1 as rows, from column from+1
// on.
func (r reflected) panel(from, to int, storage blas64.General) blas64.General {
	v := general(to-from, r.a.N-from-1, storage.Stride, storage.Data)
	for j := from; j < to; j++ {
		row := v.Data[(j-from)*v.Stride:][:v.Cols]
		clear(row[:j-from])
		copy(row[j-from:], upperRow(r.a, j)[1:])
	}
	return v
}

// applyPanel sets z, [m × k], to (I − V·T·Vᵀ)·z.
func (r reflected) applyPanel(from int, v, z blas64.General) {
	vz, tvz := newGeneral(v.Rows, z.Cols), newGeneral(v.Rows, z.Cols)
	blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, v, z, 0, vz)
	blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, r.triangle(from, v), vz, 0, tvz)
	blas64.Gemm(blas.Trans, blas.NoTrans, -1, v, tvz, 1, z)
}

// triangle returns the upper triangular T, [w × w]. Its column i is tau_i on the
// diagonal and −tau_i·T·(Vᵀv_i) above.
func (r reflected) triangle(from int, v blas64.General) blas64.General {
	w := v.Rows
	gram, t := newGeneral(w, w), newGeneral(w, w)
	blas64.Gemm(blas.NoTrans, blas.Trans, 1, v, v, 0, gram)
	for i := range w {
		tau := r.tau[from+i]
		for row := range i {
			sum := 0.0
			for l := row; l < i; l++ {
				sum += t.Data[row*w+l] * gram.Data[l*w+i]
			}
			t.Data[row*w+i] = -tau * sum
		}
		t.Data[i*w+i] = tau
	}
	return t
}
