package linalg

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	lapackgonum "gonum.org/v1/gonum/lapack/gonum"
)

// netlib holds the few small routines of LAPACK that are taken as they are.
var netlib lapackgonum.Implementation

// panelWidth is the number of Householder vectors that are gathered before the
// rest of the matrix sees them: wider panels make the matrix products larger and
// the vector work beside them, proportional to it, dearer.
const panelWidth = 32

// tridiagonal is a real symmetric tridiagonal matrix of order n.
type tridiagonal struct {
	diagonal []float64 // [n]
	beside   []float64 // [n−1]
}

// reflected is a symmetric matrix A = Q·T·Qᵀ reduced to tridiagonal T by n−1
// Householder reflectors, Q = H₀·H₁⋯, H_j = I − tau_j·v_j·v_jᵀ. The vector v_j is
// zero up to element j and one at j+1; from there on it is stored in row j of the
// upper triangle of a.
type reflected struct {
	a   blas64.Symmetric
	tau []float64
}

// tridiagonalise reduces a, of which it reads and overwrites the strict upper
// triangle and the diagonal, to tridiagonal form. What is below stays.
//
// It is LAPACK's dsytrd: a panel of reflectors is computed from the matrix as it
// was before the panel and from pairs of vectors v, w that stand for its changes,
//
//	A_now = A − Σ (v_i·w_iᵀ + w_i·v_iᵀ),
//
// which are then applied in one matrix product (Dongarra, Hammarling & Sorensen,
// LAPACK Working Note 2; Golub & Van Loan §8.3.1).
func tridiagonalise(a blas64.Symmetric) (tridiagonal, reflected) {
	n := a.N
	p := &panel{
		a: a, tau: make([]float64, n), symv: newSymv(n),
		t:       tridiagonal{make([]float64, n), make([]float64, max(0, n-1))},
		changes: newChanges(2, n), product: make([]float64, n),
	}
	for from := 0; from < n; from += panelWidth {
		to := min(n, from+panelWidth)
		p.changes.reset(from)
		for j := from; j < to; j++ {
			p.reduce(j)
		}
		p.changes.fillPartners(partner)
		p.changes.subtract(a.Data, a.Stride, to)
	}
	return p.t, reflected{a, p.tau}
}

// panel is the state of tridiagonalise.
type panel struct {
	a       blas64.Symmetric
	tau     []float64
	t       tridiagonal
	symv    *symv
	changes *changes  // rows v₀, w₀, v₁, w₁, …
	product []float64 // A·v, which becomes w
}

// partner exchanges v and w: the second factors of Σ (v·wᵀ + w·vᵀ).
func partner(row int) (int, float64) { return row ^ 1, 1 }

// reduce brings row j up to date and computes its reflector and the vector w.
func (p *panel) reduce(j int) {
	n := p.a.N
	row := p.a.Data[j*p.a.Stride+j : j*p.a.Stride+n]
	p.changes.subtractCombination(j, row, p.changes.at(j, partner))
	p.t.diagonal[j] = row[0]
	if j == n-1 {
		return
	}
	row = row[1:]
	var beta float64
	beta, p.tau[j] = netlib.Dlarfg(len(row), row[0], row[1:], 1)
	p.t.beside[j] = beta
	row[0] = 1
	if p.tau[j] == 0 {
		return // nothing to reflect: w = 0
	}
	y := p.product[:len(row)]
	p.symv.multiply(y, p.a.Data[(j+1)*p.a.Stride+j+1:], p.a.Stride, row)
	c := p.changes.dots(j+1, row)
	for i := 0; i < len(c); i += 2 {
		c[i], c[i+1] = c[i+1], c[i]
	}
	p.changes.subtractCombination(j+1, y, c)
	tau := p.tau[j]
	blas64.Scal(tau, vector(y))
	blas64.Axpy(-tau/2*blas64.Dot(vector(y), vector(row)), vector(row), vector(y))
	at := p.changes.push()
	copy(p.changes.row(at)[j+1:], row)
	copy(p.changes.row(at + 1)[j+1:], y)
}

// apply sets z, [n × k], to Q·z: the reflectors of a panel are applied together as
// I − V·T·Vᵀ (Schreiber & Van Loan; LAPACK's dlarft and dlarfb), the last panel
// first.
func (r reflected) apply(z blas64.General) {
	n := r.a.N
	if n < 2 {
		return
	}
	v := newGeneral(panelWidth, n)
	for from := (n - 2) / panelWidth * panelWidth; from >= 0; from -= panelWidth {
		to := min(n-1, from+panelWidth)
		vectors := general(to-from, n-from-1, n, v.Data) // [panel × m], as rows
		for j := from; j < to; j++ {
			row := vectors.Data[(j-from)*n : (j-from)*n+vectors.Cols]
			clear(row[:j-from])
			copy(row[j-from:], r.a.Data[j*r.a.Stride+j+1:j*r.a.Stride+n])
		}
		t := newGeneral(to-from, to-from)
		gram := newGeneral(to-from, to-from)
		blas64.Gemm(blas.NoTrans, blas.Trans, 1, vectors, vectors, 0, gram)
		for i := range gram.Rows {
			// T is upper triangular, and its column i −tau_i·T·(Vᵀv_i), over tau_i.
			tau := r.tau[from+i]
			for row := range i {
				sum := 0.0
				for l := row; l < i; l++ {
					sum += t.Data[row*t.Stride+l] * gram.Data[l*gram.Stride+i]
				}
				t.Data[row*t.Stride+i] = -tau * sum
			}
			t.Data[i*t.Stride+i] = tau
		}
		part := general(vectors.Cols, z.Cols, z.Stride, z.Data[(from+1)*z.Stride:])
		x, tx := newGeneral(to-from, z.Cols), newGeneral(to-from, z.Cols)
		blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, vectors, part, 0, x)
		blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, t, x, 0, tx)
		blas64.Gemm(blas.Trans, blas.NoTrans, -1, vectors, tx, 1, part)
	}
}
