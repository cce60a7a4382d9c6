package calib

import (
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/family"
)

// withBiases adds the terms of the layer's biases, if it has any, to the moments of
// queries and keys: q = W·x + b. Mean is the part of E[x] that belongs to l.Input, [d].
// The moments of values stay without, because attention adds up to 1, so that a bias
// of values is a constant of the output.
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

// addBias turns moment, E[w·x·xᵀ·wᵀ], into E[(w·x + b)(w·x + b)ᵀ].
func addBias(moment *mat.SymDense, w mat.Matrix, mean *mat.VecDense, b []float64) {
	bias := mat.NewVecDense(len(b), b)
	var wm mat.VecDense
	wm.MulVec(w, mean)
	moment.RankTwo(moment, 1, &wm, bias)
	moment.SymRankOne(moment, 1, bias)
}

// Folded returns the projections of a layer with the biases of its queries folded in:
// the functional u, [d], takes the place of the constant 1 that the biases multiply
// (design §8).
func Folded(p Projections, b *family.Biases, u []float64) Projections {
	return &foldedQueries{p, b.Query, u}
}

// foldedQueries are projections whose queries have their bias folded in.
type foldedQueries struct {
	Projections
	bias, u []float64
}

// Query returns W + b·uᵀ of a head, [D × d].
func (f *foldedQueries) Query(h int) (*mat.Dense, error) {
	q, err := f.Projections.Query(h)
	if err != nil {
		return nil, err
	}
	D, d := q.Dims()
	q.RankOne(q, 1, mat.NewVecDense(D, f.bias[h*D:(h+1)*D]), mat.NewVecDense(d, f.u))
	return q, nil
}
