package calib

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/linalg"
)

// rmsSums is how many sums over the root mean squares r of a head are kept: of r
// and of r².
const rmsSums = 2

// linear is a layer with norms on queries and keys seen as one without: what each
// head is divided by becomes a constant, E[r]/E[r²] in the place of 1/r (design §8).
// In least squares this is nearest to what the norm gives; with the mean of 1/r a
// third more diverges on random models of small heads.
type linear struct {
	Projections
	query, key []float64 // [H] and [G]: those constants
	queryNorm  []float64 // [D]
	keyNorm    []float64
}

// WithoutHeadNorms returns p with norms on queries and keys, if there are any, as
// constants in the weights, and the share of the queries and keys, root mean square
// over heads, that this gets wrong; 0 if it is not known, for want of sums. The
// constants are then those of inputs that RMSNorm alone describes.
func WithoutHeadNorms(p Projections, sums *Sums) (without Projections, wrong float64, err error) {
	l := &linear{Projections: p}
	if l.queryNorm, l.keyNorm, err = p.HeadNorms(); err != nil || l.queryNorm == nil {
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

// expect takes 1/√E[r²] for 1/r, with C = diag(γ²).
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

// Query returns the projection to the queries of a head, norm included.
func (l *linear) Query(h int) (*mat.Dense, error) {
	q, err := l.Projections.Query(h)
	if err == nil {
		scaleRows(q, l.queryNorm, l.query[h])
	}
	return q, err
}

// KeyValue returns the projections to keys and values, norms included.
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

// scaleRows multiplies each row of m with its weight and a factor.
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

// addRMS adds those of all heads and tokens of m; sums is empty where there are no
// norms.
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
