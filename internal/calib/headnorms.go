package calib

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/linalg"
)

// rmsSums is how many sums over the root mean squares r of a head are kept: the sum of
// r and the sum of r².
const rmsSums = 2

// linear makes a layer with norms on queries and keys look like one without: a constant,
// E[r]/E[r²], takes the place of 1/r, by which the norm of a head multiplies (design
// §8). It is the nearest one in least squares. With the mean of 1/r instead, the
// divergence is a third higher on random models of small heads.
type linear struct {
	Projections
	query, key []float64 // [H] and [G]: these constants
	queryNorm  []float64 // [D]: weights of the norm
	keyNorm    []float64 // [D]: weights of the norm
}

// WithoutHeadNorms returns p with the norms on queries and keys, if there are any, folded
// into the weights as constants (design §8). Wrong is the relative error of queries and
// keys that this makes, root mean square over heads. If sums is nil, the error is not
// known and 0, and the constants are those of inputs that RMSNorm alone describes. Errors
// are those of reading the weights.
func WithoutHeadNorms(p Projections, sums *Sums) (without Projections, wrong float64, err error) {
	l := &linear{Projections: p}
	l.queryNorm, l.keyNorm, err = p.HeadNorms()
	if err != nil || l.queryNorm == nil {
		return p, 0, err
	}
	if sums == nil {
		return l, 0, l.expect()
	}
	for _, part := range []struct {
		sums      []float64
		constants *[]float64
	}{{sums.QueryRMS, &l.query}, {sums.KeyRMS, &l.key}} {
		for at := 0; at < len(part.sums); at += rmsSums {
			s := mean(part.sums[at:at+rmsSums], sums.Tokens)
			*part.constants = append(*part.constants, s[0]/s[1])
			wrong += (1 - s[0]*s[0]/s[1]) / float64(p.Shape().Heads+p.Shape().KVHeads)
		}
	}
	return l, math.Sqrt(max(0, wrong)), nil
}

// expect sets the constants to 1/√E[r²], computed with C = diag(γ²).
func (l *linear) expect() error {
	gamma, err := l.Norm()
	if err != nil {
		return err
	}
	input := linalg.DiagonalMetric(gamma)
	inverse := func(w mat.Matrix) float64 {
		weighted := mat.DenseCopyOf(w)
		input.Apply(weighted)
		if norm := mat.Norm(weighted, 2); norm > 0 {
			return math.Sqrt(float64(weighted.RawMatrix().Rows)) / norm
		}
		return 0
	}
	s := l.Shape()
	for h := range s.Heads {
		q, err := l.Projections.Query(h)
		if err != nil {
			return err
		}
		l.query = append(l.query, inverse(q))
	}
	stack, err := l.Projections.KeyValue()
	if err != nil {
		return err
	}
	for g := range s.KVHeads {
		l.key = append(l.key, inverse(stack.Slice(g*s.HeadDim, (g+1)*s.HeadDim, 0, s.Hidden)))
	}
	return nil
}

// Query returns the projection to the queries of a head, [D × d], norm included.
func (l *linear) Query(h int) (*mat.Dense, error) {
	q, err := l.Projections.Query(h)
	if err == nil {
		scaleRows(q, l.queryNorm, l.query[h])
	}
	return q, err
}

// KeyValue returns the projections to keys and values, [2·G·D × d], norms included.
func (l *linear) KeyValue() (*mat.Dense, error) {
	stack, err := l.Projections.KeyValue()
	if err != nil {
		return nil, err
	}
	D, d := l.Shape().HeadDim, l.Shape().Hidden
	for g, factor := range l.key {
		scaleRows(stack.Slice(g*D, (g+1)*D, 0, d).(*mat.Dense), l.keyNorm, factor)
	}
	return stack, nil
}

// scaleRows multiplies each row of m by its weight and by a factor.
func scaleRows(m *mat.Dense, weights []float64, factor float64) {
	for i, w := range weights {
		row := m.RowView(i).(*mat.VecDense)
		row.ScaleVec(w*factor, row)
	}
}

// heads adds up the root mean squares of queries and keys before their norms.
func (o *observation) heads(q, k f32.Matrix, headDim int) {
	addRMS(o.sums.QueryRMS, q, headDim, o.eps)
	addRMS(o.sums.KeyRMS, k, headDim, o.eps)
}

// addRMS adds the root mean squares of all heads and tokens of m, [T × heads·D], to sums,
// [heads·rmsSums]. Sums is empty where there are no norms.
func addRMS(sums []float64, m f32.Matrix, headDim int, eps float64) {
	for at := 0; at < len(sums); at += rmsSums {
		from := at / rmsSums * headDim
		for t := range m.Rows {
			square := 0.0
			for _, v := range m.Data[t*m.Stride+from : t*m.Stride+from+headDim] {
				square += float64(v) * float64(v)
			}
			r := math.Sqrt(square/float64(headDim) + eps)
			sums[at] += r
			sums[at+1] += r * r
		}
	}
}
