package calib

import (
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/f32"
)

// OutputRoot returns the lower triangular L of L·Lᵀ = W_o^hᵀ W_o^h, [D × D], with which
// ‖Lᵀv‖ = ‖W_o^h v‖.
func (l *Layer) OutputRoot(h int) f32.Matrix { return root(l.Outputs[h]) }

// root returns the lower Cholesky factor of square in single precision, or zero if square
// is zero.
func root(square *mat.SymDense) f32.Matrix {
	D := square.SymmetricDim()
	lifted := mat.NewSymDense(D, nil)
	lifted.CopySym(square)
	lift := 1e-12 * mat.Trace(square) / float64(D) // a head may have fewer dimensions than D
	for i := range D {
		lifted.SetSym(i, i, lifted.At(i, i)+lift)
	}
	r := f32.New(D, D)
	var chol mat.Cholesky
	if !chol.Factorize(lifted) {
		return r // the head is dead
	}
	var lower mat.TriDense
	chol.LTo(&lower)
	for i := range D {
		for j := range i + 1 {
			r.Data[i*D+j] = float32(lower.At(i, j))
		}
	}
	return r
}
