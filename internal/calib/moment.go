package calib

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/decoder"
)

// momentTokens is how many tokens are added up in single precision, in which the
// inputs are known, before the sum is added in double precision.
const momentTokens = 512

// momenter adds x·xᵀ over tokens to a moment.
type momenter struct {
	part   blas32.Symmetric // [d × d]: the sum over some tokens
	scaled decoder.Matrix   // [momentTokens × d]
}

func newMomenter(d int) *momenter {
	return &momenter{
		part:   blas32.Symmetric{N: d, Stride: d, Data: make([]float32, d*d), Uplo: blas.Upper},
		scaled: decoder.NewMatrix(momentTokens, d),
	}
}

// add adds weight[t]·x·xᵀ over the rows x of m to sum; nil are weights of 1.
func (a *momenter) add(sum *mat.SymDense, m decoder.Matrix, weights []float64) {
	for from := 0; from < m.Rows; from += momentTokens {
		x := decoder.Rows(m, from, min(momentTokens, m.Rows-from))
		if weights != nil {
			x = a.scale(x, weights[from:])
		}
		blas32.Syrk(blas.Trans, 1, x, 0, a.part)
		to := sum.RawSymmetric()
		for i := range to.N {
			row := to.Data[i*to.Stride:][:to.N]
			for j, v := range a.part.Data[i*a.part.Stride:][:to.N][i:] {
				row[i+j] += float64(v)
			}
		}
	}
}

// scale returns x, each row times the root of its weight.
func (a *momenter) scale(x decoder.Matrix, weights []float64) decoder.Matrix {
	y := decoder.Rows(a.scaled, 0, x.Rows)
	for t := range x.Rows {
		root, row := float32(math.Sqrt(weights[t])), y.Data[t*y.Stride:][:y.Cols]
		for j, v := range x.Data[t*x.Stride:][:x.Cols] {
			row[j] = root * v
		}
	}
	return y
}
