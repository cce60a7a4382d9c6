package calib

import (
	"context"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// Constant is the linear functional u of the attention input that stands best for a
// constant: u·x is near 1 in least squares, u = C⁻¹E[x].
type Constant struct {
	Functional []float64 // u, [d]; nil: nothing stands for it
	Left       float64   // root of E(1 − u·x)² on what u is from
}

// none stands for no constant.
var none = Constant{Left: 1}

// Constant is that of the layer. Without data E[x] = 0 for all that is known, and
// nothing stands for it, unless SetConstant knows better.
func (l *Layer) Constant() Constant { return l.constant }

// SetConstant says what stands for a constant.
func (l *Layer) SetConstant(c Constant) { l.constant = c }

// constant finds what stands for a constant.
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
		return none // inputs of zero
	}
	return Constant{u.RawVector().Data, math.Sqrt(max(0, 1-mat.Dot(&u, m)))} // with the lift: no better than it is
}

// Constants finds what stands for a constant in each layer of m, by running it on windows
// of tokens. Temp and progress are those of Collect.
func Constants(ctx context.Context, m *family.Model, windows tokens.Windows, temp func() string, progress func(done, total int64)) ([]Constant, error) {
	var all []Constant
	err := Collect(ctx, m, Text{Kept: windows}, temp, func(_ int, sums *Sums) error {
		all = append(all, sums.constant())
		return nil
	}, progress)
	return all, err
}
