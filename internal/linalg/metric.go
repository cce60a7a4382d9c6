package linalg

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// Metric is a symmetric positive semidefinite matrix C, [d × d], as a factor F
// with C = F·Fᵀ: a diagonal, or a lower triangle. The zero value is the
// identity of every size.
type Metric struct {
	root  []float64
	lower *mat.TriDense
}

// DiagonalMetric returns the metric C = diag(root²) for root, [d].
func DiagonalMetric(root []float64) Metric { return Metric{root: root} }

// NewMetric returns the metric C = c, [d × d], by its Cholesky factor. It is an error
// if c is not positive definite.
func NewMetric(c *mat.SymDense) (Metric, error) {
	var chol mat.Cholesky
	if !chol.Factorize(c) {
		return Metric{}, &NumericError{"the matrix is not positive definite"}
	}
	m := Metric{lower: mat.NewTriDense(c.SymmetricDim(), mat.Lower, nil)}
	chol.LTo(m.lower)
	return m, nil
}

// IsIdentity reports whether m is the zero value.
func (m Metric) IsIdentity() bool { return m.root == nil && m.lower == nil }

// Apply sets x, [n × d], to x·F: afterwards x·xᵀ is what x·C·xᵀ was.
func (m Metric) Apply(x *mat.Dense) {
	switch {
	case m.lower != nil:
		blas64.Trmm(blas.Right, blas.NoTrans, 1, m.lower.RawTriangular(), x.RawMatrix())
	case m.root != nil:
		scaleColumns(x, func(j int) float64 { return m.root[j] })
	}
}

// Undo sets x, [n × d], to x·F⁻¹. Where C is diagonal and zero, so is the result.
func (m Metric) Undo(x *mat.Dense) {
	switch {
	case m.lower != nil:
		blas64.Trsm(blas.Right, blas.NoTrans, 1, m.lower.RawTriangular(), x.RawMatrix())
	case m.root != nil:
		scaleColumns(x, func(j int) float64 {
			if m.root[j] == 0 {
				return 0
			}
			return 1 / m.root[j]
		})
	}
}

// Gram returns x·C·xᵀ, [n × n], and overwrites x.
func (m Metric) Gram(x *mat.Dense) *mat.SymDense {
	m.Apply(x)
	n, _ := x.Dims()
	c := mat.NewSymDense(n, nil)
	c.SymOuterK(1, x)
	return c
}

// Trace returns tr C. It is NaN for the identity, whose size is not known.
func (m Metric) Trace() float64 {
	sum := 0.0
	switch {
	case m.lower != nil:
		n, _ := m.lower.Dims()
		for i := range n {
			row := m.lower.RawTriangular().Data[i*n : i*n+i+1]
			sum += blas64.Dot(vector(row), vector(row))
		}
		return sum
	case m.root != nil:
		return blas64.Dot(vector(m.root), vector(m.root))
	default:
		return math.NaN()
	}
}

// scaleColumns multiplies each column of x by a factor.
func scaleColumns(x *mat.Dense, factor func(j int) float64) {
	n, d := x.Dims()
	factors := make([]float64, d)
	for j := range factors {
		factors[j] = factor(j)
	}
	for i := range n {
		row := x.RawRowView(i)
		for j, f := range factors {
			row[j] *= f
		}
	}
}
