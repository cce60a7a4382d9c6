package calib

import (
	"context"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// Constant is the linear functional u of the attention input that takes the place of the
// constant 1 which biases multiply: the best in least squares, u = E[x xᵀ]⁻¹E[x] (design
// §8).
type Constant struct {
	Functional []float64 // u, [d]; nil if there is none, as if u were 0
	Left       float64   // root of E(1 − u·x)² over the tokens that u was computed from
}

// none is the constant of inputs of which no functional is known.
var none = Constant{Left: 1}

// Constant returns the functional of the layer. Without data E[x] may be 0, so that
// there is none unless SetConstant was called.
func (l *Layer) Constant() Constant { return l.constant }

// SetConstant sets the functional that Constant returns.
func (l *Layer) SetConstant(c Constant) { l.constant = c }

// constant computes the functional from the sums.
func (s *Sums) constant() Constant {
	d := s.Input.SymmetricDim()
	c := mat.NewSymDense(d, nil)
	c.ScaleSym(1/s.Tokens, s.Input)
	lift := Shrinkage * mat.Trace(c) / float64(d)
	for j := range d {
		c.SetSym(j, j, c.At(j, j)+lift)
	}
	m := mat.NewVecDense(d, mean(s.Mean, s.Tokens))
	var chol mat.Cholesky
	var u mat.VecDense
	if !chol.Factorize(c) || chol.SolveVecTo(&u, m) != nil {
		return none // the inputs are zero
	}
	return Constant{u.RawVector().Data, math.Sqrt(max(0, 1-mat.Dot(&u, m)))} // the lift makes this no smaller than it is
}

// Constants computes the functional of each layer of m, [L], by running it on windows of
// tokens. Temp, progress and errors are those of Collect.
func Constants(ctx context.Context, m *family.Model, windows tokens.Windows, temp func() string, progress func(done, total int64)) ([]Constant, error) {
	var all []Constant
	err := Collect(ctx, m, Text{Kept: windows}, temp, func(_ int, sums *Sums) error {
		all = append(all, sums.constant())
		return nil
	}, progress)
	return all, err
}
