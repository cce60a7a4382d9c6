package linalg

import (
	"slices"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// newGeneral returns a zero matrix, [r × c].
func newGeneral(r, c int) blas64.General { return general(r, c, max(1, c), make([]float64, r*c)) }

// general returns a matrix, [r × c], whose rows are stride apart in data.
func general(r, c, stride int, data []float64) blas64.General {
	return blas64.General{Rows: r, Cols: c, Stride: stride, Data: data}
}

// vector returns v as a vector.
func vector(v []float64) blas64.Vector { return blas64.Vector{N: len(v), Inc: 1, Data: v} }

// reverseColumns puts the columns of m into the opposite order.
func reverseColumns(m blas64.General) {
	for i := range m.Rows {
		slices.Reverse(m.Data[i*m.Stride : i*m.Stride+m.Cols])
	}
}

// compact returns a copy of m without gaps between its rows.
func compact(m blas64.General) blas64.General {
	c := newGeneral(m.Rows, m.Cols)
	for i := range m.Rows {
		copy(c.Data[i*c.Stride:(i+1)*c.Stride], m.Data[i*m.Stride:])
	}
	return c
}

// dense returns m, without gaps between its rows, as a matrix that shares its
// storage.
func dense(m blas64.General) *mat.Dense { return mat.NewDense(m.Rows, m.Cols, m.Data) }
