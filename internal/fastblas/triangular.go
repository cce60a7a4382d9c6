package fastblas

import "gonum.org/v1/gonum/blas"

// Dtrmm computes B = alpha·op(A)·B or, from the right, B = alpha·B·op(A), with
// B [m × n] and A triangular. It panics where gonum's does.
func (f implementation) Dtrmm(side blas.Side, ul blas.Uplo, tA blas.Transpose, d blas.Diag, m, n int, alpha float64, a []float64, lda int, b []float64, ldb int) {
	t := triangular{f, side, ul, tA, d, a, lda}
	if !t.halves(m, n, alpha) {
		f.reference.Dtrmm(side, ul, tA, d, m, n, alpha, a, lda, b, ldb)
		return
	}
	t.check(m, n, b, ldb)
	t.multiply(panel{m, n, b, ldb}, alpha)
}

// Dtrsm computes B = alpha·op(A)⁻¹·B or, from the right, B = alpha·B·op(A)⁻¹,
// with B [m × n] and A triangular. It panics where gonum's does.
func (f implementation) Dtrsm(side blas.Side, ul blas.Uplo, tA blas.Transpose, d blas.Diag, m, n int, alpha float64, a []float64, lda int, b []float64, ldb int) {
	t := triangular{f, side, ul, tA, d, a, lda}
	if !t.halves(m, n, alpha) {
		f.reference.Dtrsm(side, ul, tA, d, m, n, alpha, a, lda, b, ldb)
		return
	}
	t.check(m, n, b, ldb)
	t.solve(panel{m, n, b, ldb}, alpha)
}

// triangular is a triangular matrix A, and the side from which it multiplies a matrix B.
//
// It is divided into halves. The two triangles on the diagonal are treated as A is, and the
// square beside them as a product of matrices, in which most of the time is spent.
type triangular struct {
	implementation
	side blas.Side
	ul   blas.Uplo
	tA   blas.Transpose
	diag blas.Diag
	a    []float64
	lda  int
}

// panel is a matrix [m × n] of row stride ld.
type panel struct {
	m, n int
	data []float64
	ld   int
}

// halves reports whether A, met by B [m × n], is large enough to be halved.
func (t triangular) halves(m, n int, alpha float64) bool {
	const least, across = 24, 8
	order, other := m, n
	if t.side == blas.Right {
		order, other = n, m
	}
	return order >= least && other >= across && alpha != 0
}

// check panics where gonum's routines do. It calls them for a B without columns or rows, for
// which they check all arguments but the lengths, and checks those as a product does.
func (t triangular) check(m, n int, b []float64, ldb int) {
	if t.side == blas.Left {
		t.reference.Dtrmm(t.side, t.ul, t.tA, t.diag, m, 0, 1, t.a, t.lda, b, ldb)
		t.reference.Dgemm(t.tA, blas.NoTrans, m, n, m, 0, t.a, t.lda, b, ldb, 1, b, ldb)
	} else {
		t.reference.Dtrmm(t.side, t.ul, t.tA, t.diag, 0, n, 1, t.a, t.lda, b, ldb)
		t.reference.Dgemm(blas.NoTrans, t.tA, m, n, n, 0, b, ldb, t.a, t.lda, 1, b, ldb)
	}
}

// split returns the two triangles on the diagonal of A, the square beside them
// and the parts of b that meet them. They are ordered so that the first part of
// b is the one that the square's product is added to where A multiplies.
func (t triangular) split(b panel) (first, second triangular, square []float64, to, from panel) {
	order := b.m
	if t.side == blas.Right {
		order = b.n
	}
	h := roundUp(order/2, 16)
	first, second = t, t
	second.a = t.a[h*t.lda+h:]
	square = t.a[h*t.lda:]
	if t.ul == blas.Upper {
		square = t.a[h:]
	}
	to, from = b, b
	if t.side == blas.Left {
		to.m, from.m, from.data = h, b.m-h, b.data[h*b.ld:]
	} else {
		to.n, from.n, from.data = h, b.n-h, b.data[h:]
	}
	// If op(A) is upper and on the left, or lower and on the right, the product of the
	// square with the second part is added to the first.
	upper := (t.ul == blas.Upper) == (t.tA == blas.NoTrans)
	if upper != (t.side == blas.Left) {
		first, second, to, from = second, first, from, to
	}
	return first, second, square, to, from
}

// add sets to = beta·to + alpha·op(square)·from, or from the right.
func (t triangular) add(alpha float64, square []float64, from panel, beta float64, to panel) {
	if t.side == blas.Left {
		t.Dgemm(t.tA, blas.NoTrans, to.m, to.n, from.m, alpha, square, t.lda, from.data, from.ld, beta, to.data, to.ld)
	} else {
		t.Dgemm(blas.NoTrans, t.tA, to.m, to.n, from.n, alpha, from.data, from.ld, square, t.lda, beta, to.data, to.ld)
	}
}

// multiply sets b to alpha·op(A)·b, or from the right.
func (t triangular) multiply(b panel, alpha float64) {
	if !t.halves(b.m, b.n, alpha) {
		t.reference.Dtrmm(t.side, t.ul, t.tA, t.diag, b.m, b.n, alpha, t.a, t.lda, b.data, b.ld)
		return
	}
	first, second, square, to, from := t.split(b)
	first.multiply(to, alpha)
	t.add(alpha, square, from, 1, to)
	second.multiply(from, alpha)
}

// solve sets b to alpha·op(A)⁻¹·b, or from the right.
func (t triangular) solve(b panel, alpha float64) {
	if !t.halves(b.m, b.n, alpha) {
		t.reference.Dtrsm(t.side, t.ul, t.tA, t.diag, b.m, b.n, alpha, t.a, t.lda, b.data, b.ld)
		return
	}
	first, second, square, to, from := t.split(b)
	second.solve(from, alpha)
	t.add(-1, square, from, alpha, to)
	first.solve(to, 1)
}
