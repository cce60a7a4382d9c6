package linalg

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

const (
	// bandWidth is the number of diagonals above the main one that the first of two
	// stages leaves. The wider the band, the larger a part of the first stage are
	// matrix products, and the more work is left for the second.
	bandWidth = 64
	// bandRows is the number of rows that are reduced one by one before their
	// reflectors are applied to the rest of their panel.
	bandRows = 16
)

// band is a symmetric matrix of order n with bandWidth diagonals above the main one,
// and room for bandWidth − 1 more, where the second stage has its bulges. Element
// (i, j) is at i·bandStride + j, so that the storage of row i begins with the diagonal
// and a block above the diagonal is a matrix of that stride.
type band struct {
	n    int
	data []float64
}

// bandStride is the distance, in elements, from (i, j) to (i+1, j).
const bandStride = 2*bandWidth - 1

// from returns the storage from element (i, j) on.
func (b band) from(i, j int) []float64 { return b.data[i*bandStride+j:] }

// take copies the part of row i of a that lies in the band.
func (b band) take(a blas64.Symmetric, i int) {
	row := upperRow(a, i)
	copy(b.from(i, i), row[:min(len(row), bandWidth+1)])
}

// reduceToBand reduces a to a band B with A = P·B·Pᵀ. It reads and overwrites the
// upper triangle of a; elements below the diagonal stay.
//
// Reflectors from the right reduce the part of a panel of rows that lies beyond the
// band to a triangle, and are then applied to the trailing matrix from both sides.
// All the work but that on the panels, which are thin, is matrix products (Bischof,
// Lang & Sun, ACM Trans. Math. Softw. 26, 581–601).
func reduceToBand(a blas64.Symmetric) (band, reflected) {
	n := a.N
	b := band{n, make([]float64, n*(bandStride+1))}
	r := reflected{a, make([]float64, n), bandWidth}
	storage := newGeneral(bandWidth, n)
	for from := 0; from < n; from += bandWidth {
		end := min(n, from+bandWidth)
		to := max(from, min(end, n-bandWidth)) // rows that reach beyond the band
		r.reducePanel(b, from, to, end, storage)
		for i := to; i < end; i++ {
			b.take(a, i)
		}
		if to > from {
			rest := blas64.Symmetric{N: n - end, Stride: a.Stride, Uplo: blas.Upper, Data: a.Data[end*a.Stride+end:]}
			r.block(from, to, storage).applyBoth(rest)
		}
	}
	return b, r
}

// reducePanel computes the reflectors of the rows from … to−1, and applies them to
// those up to end.
func (r reflected) reducePanel(b band, from, to, end int, storage blas64.General) {
	work := make([]float64, bandRows)
	for i := from; i < to; i += bandRows {
		next := min(to, i+bandRows)
		at := i + bandWidth
		netlib.Dgelq2(next-i, r.a.N-at, r.a.Data[i*r.a.Stride+at:], r.a.Stride, r.tau[i:next], work)
		for j := i; j < next; j++ {
			b.take(r.a, j)
			upperRow(r.a, j)[bandWidth] = 1
		}
		if next < end {
			rest := general(end-next, r.a.N-at, r.a.Stride, r.a.Data[next*r.a.Stride+at:])
			r.block(i, next, storage).applyRight(rest)
		}
	}
}

// columns returns the columns from … to−1 of m.
func columns(m blas64.General, from, to int) blas64.General {
	return general(m.Rows, to-from, m.Stride, m.Data[from:])
}

// symmetricStrip is the width of the strips of a symmetric matrix that take part in
// one product. The square on the diagonal of each strip is copied to have both halves.
const symmetricStrip = 256

// symmetricTimes sets y to v·a, both [k × m].
func symmetricTimes(y, v blas64.General, a blas64.Symmetric) {
	parallelRange(a.N, symmetricStrip, func(from, to int) {
		above := general(from, to-from, a.Stride, a.Data[from:])
		beside := general(to-from, a.N-to, a.Stride, a.Data[from*a.Stride+to:])
		blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, columns(v, 0, from), above, 0, columns(y, from, to))
		blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, columns(v, from, to), square(a, from, to), 1, columns(y, from, to))
		blas64.Gemm(blas.NoTrans, blas.Trans, 1, columns(v, to, a.N), beside, 1, columns(y, from, to))
	})
}

// square returns a copy, with both halves, of the square on the diagonal of a that
// takes up the rows from … to−1.
func square(a blas64.Symmetric, from, to int) blas64.General {
	s := newGeneral(to-from, to-from)
	for i := range s.Rows {
		for j, v := range upperRow(a, from+i)[:to-from-i] {
			s.Data[i*s.Stride+i+j], s.Data[(i+j)*s.Stride+i] = v, v
		}
	}
	return s
}
