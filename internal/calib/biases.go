package calib

import (
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
