package linalg

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// hermitian is a complex Hermitian matrix of order n as two real ones, whose upper
// triangles count: the real part is symmetric and the imaginary part skew. Kept apart
// in this way, all work with it is work with real matrices.
type hermitian struct {
	re, im blas64.Symmetric
}

// newHermitian returns the matrix of order n whose upper triangle h gives.
func newHermitian(n int, h func(i, j int) complex128) hermitian {
	m := hermitian{newSymmetric(n), newSymmetric(n)}
	for i := range n {
		m.re.Data[i*n+i] = real(h(i, i))
		for j := i + 1; j < n; j++ {
			v := h(i, j)
			m.re.Data[i*n+j], m.im.Data[i*n+j] = real(v), imag(v)
		}
	}
	return m
}

// newSymmetric returns a zero matrix of order n.
func newSymmetric(n int) blas64.Symmetric {
	return blas64.Symmetric{Uplo: blas.Upper, N: n, Stride: n, Data: make([]float64, n*n)}
}

// row returns row j from the diagonal on.
func (h hermitian) row(j int) (re, im []float64) { return upperRow(h.re, j), upperRow(h.im, j) }

// hermitianPanel is panel for a complex matrix. With reflectors whose images are
// real, as LAPACK's zhetrd uses them, the tridiagonal matrix is real too.
//
// Its changes have the rows Re v₀, Im v₀, Re w₀, Im w₀, …, of which
//
//	Re(v·wᴴ + w·vᴴ) = Re v·Re wᵀ + Im v·Im wᵀ + Re w·Re vᵀ + Im w·Im vᵀ
//	Im(v·wᴴ + w·vᴴ) = Im v·Re wᵀ − Re v·Im wᵀ + Im w·Re vᵀ − Re w·Im vᵀ.
type hermitianPanel struct {
	hermitian
	tau      []complex128
	t        tridiagonal
	skew     *skewProduct
	changes  *changes
	yRe, yIm []float64
	dotRe    []float64
}

// partnerRe and partnerIm are the second factors of the sums above.
func partnerRe(row int) (int, float64) { return row ^ 2, 1 }

func partnerIm(row int) (int, float64) {
	if row&1 == 0 {
		return row ^ 3, -1
	}
	return row ^ 3, 1
}

// tridiagonalise is tridiagonalise of a real matrix for A = Q·T·Qᴴ: the vector
// v_j, from element j+1 on, is stored in row j of the upper triangles.
func (h hermitian) tridiagonalise() (tridiagonal, reflectedHermitian) {
	n := h.re.N
	p := &hermitianPanel{
		hermitian: h, tau: make([]complex128, n), skew: newSkewProduct(n),
		t:       tridiagonal{make([]float64, n), make([]float64, max(0, n-1))},
		changes: newChanges(4, n), yRe: make([]float64, n), yIm: make([]float64, n),
		dotRe: make([]float64, 4*panelWidth),
	}
	for from := 0; from < n; from += panelWidth {
		to := min(n, from+panelWidth)
		p.changes.reset(from)
		for j := from; j < to; j++ {
			p.reduce(j)
		}
		p.changes.fillPartners(partnerRe)
		p.changes.subtract(h.re.Data, n, to)
		p.changes.fillPartners(partnerIm)
		p.changes.subtract(h.im.Data, n, to)
	}
	return p.t, reflectedHermitian{h, p.tau}
}

// reduce brings row j up to date and computes its reflector and the vector w.
func (p *hermitianPanel) reduce(j int) {
	re, im := p.row(j)
	blas64.Scal(-1, vector(im)) // the column below the diagonal is the row's conjugate
	p.changes.subtractCombination(j, re, p.changes.at(j, partnerRe))
	// A column changes by v·conj(w_j), which is why Im has the sign of the column here.
	p.changes.subtractCombination(j, im, p.changes.at(j, partnerIm))
	p.t.diagonal[j] = re[0]
	if len(re) == 1 {
		return
	}
	re, im = re[1:], im[1:]
	p.t.beside[j], p.tau[j] = reflect(re, im)
	if p.tau[j] == 0 {
		return
	}
	yRe, yIm := p.yRe[:len(re)], p.yIm[:len(re)]
	p.multiply(j+1, yRe, yIm, re, im)
	p.subtractChanges(j+1, yRe, yIm, re, im)
	t := p.tau[j]
	for i, v := range yRe { // w = τ·y
		w := t * complex(v, yIm[i])
		yRe[i], yIm[i] = real(w), imag(w)
	}
	// w −= ½·τ·(wᴴv)·v
	dot := complex(
		blas64.Dot(vector(yRe), vector(re))+blas64.Dot(vector(yIm), vector(im)),
		blas64.Dot(vector(yRe), vector(im))-blas64.Dot(vector(yIm), vector(re)))
	half := -t / 2 * dot
	blas64.Axpy(real(half), vector(re), vector(yRe))
	blas64.Axpy(-imag(half), vector(im), vector(yRe))
	blas64.Axpy(imag(half), vector(re), vector(yIm))
	blas64.Axpy(real(half), vector(im), vector(yIm))
	p.push(j+1, re, im, yRe, yIm)
}

// push adds v and w, from element j on, to the changes.
func (p *hermitianPanel) push(j int, vRe, vIm, wRe, wIm []float64) {
	at := p.changes.push()
	for i, x := range [][]float64{vRe, vIm, wRe, wIm} {
		copy(p.changes.row(at + i)[j:], x)
	}
}

// multiply sets y to the product of the trailing matrix, as it was before the
// panel, from row and column j on, and v.
func (p *hermitianPanel) multiply(j int, yRe, yIm, vRe, vIm []float64) {
	n := p.re.N
	re := blas64.Symmetric{N: len(vRe), Stride: n, Uplo: blas.Upper, Data: p.re.Data[j*n+j:]}
	blas64.Symv(1, re, vector(vRe), 0, vector(yRe))
	blas64.Symv(1, re, vector(vIm), 0, vector(yIm))
	p.skew.addProducts(yRe, yIm, p.im.Data[j*n+j:], n, vRe, vIm)
}

// subtractChanges subtracts Σ v_i·(w_iᴴx) + w_i·(v_iᴴx), from element j on, from y.
func (p *hermitianPanel) subtractChanges(j int, yRe, yIm, xRe, xIm []float64) {
	dotRe := p.dotRe[:p.changes.stack.Rows]
	copy(dotRe, p.changes.dots(j, xRe))
	dotIm := p.changes.dots(j, xIm)
	re, im := make([]float64, len(dotRe)), make([]float64, len(dotRe))
	for i := 0; i < len(dotRe); i += 2 { // Re and Im of v or of w
		partner := i ^ 2
		a := dotRe[partner] + dotIm[partner+1]
		b := dotIm[partner] - dotRe[partner+1]
		re[i], re[i+1] = a, -b
		im[i], im[i+1] = b, a
	}
	p.changes.subtractCombination(j, yRe, re)
	p.changes.subtractCombination(j, yIm, im)
}

// reflect replaces the vector x by the v, with v₀ = 1, of a reflector for which
// (I − τ·v·vᴴ)ᴴ·x is a real multiple beta of the first unit vector (LAPACK's
// zlarfg). The matrix is scaled, so that no square is out of range.
func reflect(re, im []float64) (beta float64, tau complex128) {
	alpha := complex(re[0], im[0])
	rest := math.Hypot(blas64.Nrm2(vector(re[1:])), blas64.Nrm2(vector(im[1:])))
	if rest == 0 && imag(alpha) == 0 {
		re[0], im[0] = 1, 0
		return real(alpha), 0
	}
	beta = -math.Copysign(math.Hypot(math.Hypot(real(alpha), imag(alpha)), rest), real(alpha))
	tau = complex((beta-real(alpha))/beta, -imag(alpha)/beta)
	scale := 1 / (alpha - complex(beta, 0))
	for i := range re {
		v := complex(re[i], im[i]) * scale
		re[i], im[i] = real(v), imag(v)
	}
	re[0], im[0] = 1, 0
	return beta, tau
}
