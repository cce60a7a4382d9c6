package heal

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"

	_ "github.com/mha2mla/mha2mla/internal/fastblas" // products under blas32 and blas64
	"github.com/mha2mla/mha2mla/internal/vector"
)

// real is what a layer is computed in: single precision, and double precision
// for the check of its gradients.
type real interface{ float32 | float64 }

// matrix is a row-major matrix.
type matrix[T real] struct {
	rows, cols, stride int
	data               []T
}

// newMatrix returns a zero matrix.
func newMatrix[T real](rows, cols int) matrix[T] {
	return matrix[T]{rows, cols, cols, make([]T, rows*cols)}
}

// like returns a zero matrix of the size of m.
func like[T real](m matrix[T]) matrix[T] { return newMatrix[T](m.rows, m.cols) }

// row returns row i.
func (m matrix[T]) row(i int) []T { return m.data[i*m.stride : i*m.stride+m.cols] }

// part returns a part of m that shares its data.
func (m matrix[T]) part(row, rows, col, cols int) matrix[T] {
	if rows == 0 || cols == 0 {
		return matrix[T]{rows: rows, cols: cols, stride: m.stride}
	}
	return matrix[T]{rows, cols, m.stride, m.data[row*m.stride+col : (row+rows-1)*m.stride+col+cols]}
}

// rowsFrom returns n rows from the given one on.
func (m matrix[T]) rowsFrom(row, n int) matrix[T] { return m.part(row, n, 0, m.cols) }

// copyFrom sets m to a, of the same size.
func (m matrix[T]) copyFrom(a matrix[T]) {
	for i := range m.rows {
		copy(m.row(i), a.row(i))
	}
}

// add adds a, of the same size, to m.
func (m matrix[T]) add(a matrix[T]) {
	for i := range m.rows {
		to := m.row(i)
		for j, v := range a.row(i) {
			to[j] += v
		}
	}
}

// product sets c to op(a)·op(b), or adds it if beta is 1.
func product[T real](c matrix[T], ta blas.Transpose, a matrix[T], tb blas.Transpose, b matrix[T], beta T) {
	if a.rows == 0 || a.cols == 0 || b.rows == 0 || b.cols == 0 {
		return // a part that the layer does not have
	}
	switch data := any(c.data).(type) {
	case []float32:
		blas32.Gemm(ta, tb, 1, single(a), single(b), float32(beta), blas32.General{Rows: c.rows, Cols: c.cols, Stride: c.stride, Data: data})
	case []float64:
		blas64.Gemm(ta, tb, 1, double(a), double(b), float64(beta), blas64.General{Rows: c.rows, Cols: c.cols, Stride: c.stride, Data: data})
	}
}

func single[T real](m matrix[T]) blas32.General {
	return blas32.General{Rows: m.rows, Cols: m.cols, Stride: m.stride, Data: any(m.data).([]float32)}
}

func double[T real](m matrix[T]) blas64.General {
	return blas64.General{Rows: m.rows, Cols: m.cols, Stride: m.stride, Data: any(m.data).([]float64)}
}

// softmax turns scores into probabilities.
func softmax[T real](v []T) {
	switch v := any(v).(type) {
	case []float32:
		vector.Softmax(v)
	case []float64:
		largest, sum := math.Inf(-1), 0.0
		for _, x := range v {
			largest = max(largest, x)
		}
		for i, x := range v {
			v[i] = math.Exp(x - largest)
			sum += v[i]
		}
		for i := range v {
			v[i] /= sum
		}
	}
}
