package linalg

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	lapackgonum "gonum.org/v1/gonum/lapack/gonum"
)

// netlib holds the few small routines of LAPACK that are taken as they are.
var netlib lapackgonum.Implementation

// panelWidth is the number of Householder vectors that are gathered before they are
// applied to the rest of the matrix. A wider panel makes the matrix products larger,
// and the work on vectors beside them, which grows with it, dearer.
const panelWidth = 32

// tridiagonal is a real symmetric tridiagonal matrix of order n.
type tridiagonal struct {
	diagonal []float64 // [n]
	beside   []float64 // [n−1]
}

// tridiagonalise reduces a to the tridiagonal T with A = Q·T·Qᵀ. It reads and
// overwrites the diagonal and the upper triangle; elements below the diagonal stay.
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
		a: a, tau: make([]float64, n),
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
	return p.t, reflected{a, p.tau, 1}
}

// panel is the state of tridiagonalise.
type panel struct {
	a       blas64.Symmetric
	tau     []float64
	t       tridiagonal
	changes *changes  // rows v₀, w₀, v₁, w₁, …
	product []float64 // A·v, which becomes w
}

// partner exchanges v and w: the second factors of Σ (v·wᵀ + w·vᵀ).
func partner(row int) (int, float64) { return row ^ 1, 1 }

// reduce brings row j up to date and computes its reflector and the vector w.
func (p *panel) reduce(j int) {
	row := upperRow(p.a, j)
	p.changes.subtractCombination(j, row, p.changes.at(j, partner))
	p.t.diagonal[j] = row[0]
	if len(row) == 1 {
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
	rest := blas64.Symmetric{N: len(row), Stride: p.a.Stride, Uplo: blas.Upper, Data: p.a.Data[(j+1)*p.a.Stride+j+1:]}
	blas64.Symv(1, rest, vector(row), 0, vector(y))
	c := p.changes.dots(j+1, row)
	for i := 0; i < len(c); i += 2 { // v_i·(w_iᵀx) + w_i·(v_iᵀx)
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
