package calib

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/f32"
)

// momentTokens is how many tokens are added up in single precision, which is that of the
// inputs, before their sum is added in double precision.
const momentTokens = 512

// momenter adds x·xᵀ over tokens to a moment.
type momenter struct {
	part   blas32.Symmetric // [d × d]: the sum over some tokens
	scaled f32.Matrix       // [momentTokens × d]
}

// newMomenter returns a momenter for inputs of d elements.
func newMomenter(d int) *momenter {
	return &momenter{
		part:   blas32.Symmetric{N: d, Stride: d, Data: make([]float32, d*d), Uplo: blas.Upper},
		scaled: f32.New(momentTokens, d),
	}
}

// add adds Σ_t weights[t]·x_t·x_tᵀ over the rows x_t of m, [T × d], to the upper triangle
// of sum. If weights is nil, all are 1.
func (a *momenter) add(sum *mat.SymDense, m f32.Matrix, weights []float64) {
	for from := 0; from < m.Rows; from += momentTokens {
		x := m.RowsFrom(from, min(momentTokens, m.Rows-from))
		unit := unitOf(x)
		if unit == 0 {
			continue
		}
		x = a.scale(x, 1/unit, weights, from)
		blas32.Syrk(blas.Trans, 1, f32.Raw(x), 0, a.part)
		to := sum.RawSymmetric()
		for i := range to.N {
			row := to.Data[i*to.Stride:][:to.N]
			for j, v := range a.part.Data[i*a.part.Stride:][:to.N][i:] {
				row[i+j] += unit * unit * float64(v)
			}
		}
	}
}

// unitOf returns the power of two next above the largest absolute value in x, or 0 if all
// values are zero. Values are divided by it because single precision may not hold their
// squares.
func unitOf(x f32.Matrix) float64 {
	const sign = 1 << 31
	largest := uint32(0) // without the sign, bits compare as the numbers do
	for t := range x.Rows {
		for _, v := range x.Data[t*x.Stride:][:x.Cols] {
			largest = max(largest, math.Float32bits(v)&^sign)
		}
	}
	if largest == 0 {
		return 0
	}
	_, exponent := math.Frexp(float64(math.Float32frombits(largest)))
	return math.Ldexp(1, exponent)
}

// scale returns x times factor. If weights is not nil, row t is multiplied by the root of
// weights[from+t], too.
func (a *momenter) scale(x f32.Matrix, factor float64, weights []float64, from int) f32.Matrix {
	y := a.scaled.RowsFrom(0, x.Rows)
	for t := range x.Rows {
		square := 1.0
		if weights != nil {
			square = weights[from+t]
		}
		root, row := float32(factor*math.Sqrt(square)), y.Data[t*y.Stride:][:y.Cols]
		for j, v := range x.Data[t*x.Stride:][:x.Cols] {
			row[j] = root * v
		}
	}
	return y
}
