package linalg

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas64"
)

// NumericError says why a computation in double precision has no result.
type NumericError struct{ What string }

func (e *NumericError) Error() string { return e.What }

// rescale divides the parts of a matrix by the power of two that keeps the squares and
// the products of its elements within range, and returns its exponent. It refuses a
// matrix that is not finite. Both are needed because gonum panics on very small
// matrices, and answers infinities with NaN and no error.
func rescale(parts ...blas64.Symmetric) (exponent int, err error) {
	norm := 0.0
	for _, a := range parts {
		for i := range a.N {
			for j, v := range upperRow(a, i) {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					return 0, &NumericError{fmt.Sprintf("matrix is not finite at (%d, %d)", i, i+j)}
				}
				norm = max(norm, math.Abs(v))
			}
		}
	}
	_, exponent = math.Frexp(norm)
	const harmless = 100
	if exponent >= -harmless && exponent <= harmless {
		return 0, nil
	}
	for _, a := range parts {
		for i := range a.N {
			row := upperRow(a, i)
			for j, v := range row {
				row[j] = math.Ldexp(v, -exponent)
			}
		}
	}
	return exponent, nil
}

// upperRow returns row i of a from the diagonal on.
func upperRow(a blas64.Symmetric, i int) []float64 {
	return a.Data[i*a.Stride+i : i*a.Stride+a.N]
}

// unscale undoes rescale.
func unscale(values []float64, exponent int) []float64 {
	if exponent != 0 {
		for i, v := range values {
			values[i] = math.Ldexp(v, exponent)
		}
	}
	return values
}
