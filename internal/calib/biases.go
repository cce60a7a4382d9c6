package calib

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/family"
)

// withBiases adds to the moments of queries and keys what the layer's biases, if
// it has any, add to them: q = W·x + b. Mean is E[x] as far as it goes with
// l.Input. Values go without: attention adds up to 1, so that theirs are a
// constant of the output.
func (l *Layer) withBiases(p Projections, stack *mat.Dense, mean []float64) error {
	l.centred = l.Keys
	b, err := p.Biases()
	if err != nil || b == nil {
		return err
	}
	x := mat.NewVecDense(l.Hidden, nil)
	for j, v := range mean {
		x.SetVec(j, v)
	}
	D := l.HeadDim
	for h, q := range l.Queries {
		w, err := p.Query(h)
		if err != nil {
			return err
		}
		addBias(q, w, x, b.Query[h*D:(h+1)*D])
	}
	rows := l.KVHeads * D
	l.centred = mat.NewSymDense(rows, nil)
	l.centred.CopySym(l.Keys)
	addBias(l.Keys, stack.Slice(0, rows, 0, l.Hidden), x, b.Key)
	return nil
}

// addBias turns E[w·x·xᵀ·wᵀ] into E[(w·x + b)(w·x + b)ᵀ].
func addBias(moment *mat.SymDense, w mat.Matrix, mean *mat.VecDense, b []float64) {
	bias := mat.NewVecDense(len(b), b)
	var wm mat.VecDense
	wm.MulVec(w, mean)
	moment.RankTwo(moment, 1, &wm, bias)
	moment.SymRankOne(moment, 1, bias)
}

// Constant returns the linear functional u of the attention input that stands best
// for a constant: u·x is near 1 in least squares, u = C⁻¹E[x]. Left is the root of
// E(1 − u·x)². Without data, E[x] = 0 for all that is known: then u is nil and left
// is 1.
func (l *Layer) Constant() (u []float64, left float64) { return l.constant, l.constantLeft }

// findConstant finds that functional for a layer that has biases.
func (l *Layer) findConstant(p Projections, sums *Sums) error {
	l.constantLeft = 1
	if b, err := p.Biases(); err != nil || b == nil {
		return err
	}
	d := l.Hidden
	c := mat.NewSymDense(d, nil)
	c.ScaleSym(1/sums.Tokens, sums.Input)
	lift := shrinkage * mat.Trace(c) / float64(d)
	for j := range d {
		c.SetSym(j, j, c.At(j, j)+lift)
	}
	m := mat.NewVecDense(d, mean(sums.Mean, sums.Tokens))
	var chol mat.Cholesky
	var u mat.VecDense
	if !chol.Factorize(c) || chol.SolveVecTo(&u, m) != nil {
		return nil // inputs of zero
	}
	l.constant = u.RawVector().Data
	l.constantLeft = math.Sqrt(max(0, 1-mat.Dot(&u, m))) // with the lift: no better than it is
	return nil
}

// Folded gives the weights of a layer with the biases of its queries folded in: a
// functional u in the place of the constant that the biases are times.
func Folded(p Projections, b *family.Biases, u []float64) Projections {
	return &foldedQueries{p, b.Query, u}
}

type foldedQueries struct {
	Projections
	bias, u []float64
}

// Query returns W + b·uᵀ of a head.
func (f *foldedQueries) Query(h int) (*mat.Dense, error) {
	q, err := f.Projections.Query(h)
	if err != nil {
		return nil, err
	}
	D, d := q.Dims()
	q.RankOne(q, 1, mat.NewVecDense(D, f.bias[h*D:(h+1)*D]), mat.NewVecDense(d, f.u))
	return q, nil
}
