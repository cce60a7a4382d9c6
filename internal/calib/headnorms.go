package calib

import (
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
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
	norms      *family.HeadNorms
}

// NormError is the relative error that constants in the place of norms make, root mean square
// over heads: of queries and keys, and of keys alone.
type NormError struct{ All, Keys float64 }

// WithoutHeadNorms returns p with the norms on queries and keys, if there are any, folded
// into the weights as constants (design §8). Wrong says what error this makes. If sums is nil,
// the error is not known and 0, and the constants are those of inputs that RMSNorm alone
// describes. Errors are those of reading the weights.
func WithoutHeadNorms(p Projections, sums *Sums) (without Projections, wrong NormError, err error) {
	norms, err := p.HeadNorms()
	if err != nil || norms == nil {
		return p, wrong, err
	}
	l := &linear{Projections: p, norms: norms}
	if sums == nil {
		return l, wrong, l.expect()
	}
	s := p.Shape()
	for _, part := range []struct {
		sums      []float64
		constants *[]float64
	}{{sums.QueryRMS, &l.query}, {sums.KeyRMS, &l.key}} {
		for at := 0; at < len(part.sums); at += rmsSums {
			m := mean(part.sums[at:at+rmsSums], sums.Tokens)
			*part.constants = append(*part.constants, m[0]/m[1])
			off := 1 - m[0]*m[0]/m[1]
			wrong.All += off / float64(s.Heads+s.KVHeads)
			if part.constants == &l.key {
				wrong.Keys += off / float64(s.KVHeads)
			}
		}
	}
	return l, NormError{math.Sqrt(max(0, wrong.All)), math.Sqrt(max(0, wrong.Keys))}, nil
}

// expect sets the constants to 1/√E[r²], computed with C = diag(γ²).
func (l *linear) expect() error {
	gamma, err := l.Norm()
	if err != nil {
		return err
	}
	input, s := linalg.DiagonalMetric(gamma), l.Shape()
	size := func(w mat.Matrix) float64 {
		weighted := mat.DenseCopyOf(w)
		input.Apply(weighted)
		return mat.Norm(weighted, 2)
	}
	var queries, keys []float64 // √(D·E[r²]) of each head
	for h := range s.Heads {
		q, err := l.Projections.Query(h)
		if err != nil {
			return err
		}
		queries = append(queries, size(q))
	}
	stack, err := l.Projections.KeyValue()
	if err != nil {
		return err
	}
	for g := range s.KVHeads {
		keys = append(keys, size(stack.Slice(g*s.HeadDim, (g+1)*s.HeadDim, 0, s.Hidden)))
	}
	l.query, l.key = l.inverses(queries), l.inverses(keys)
	return nil
}

// inverses returns the factor of each head, 0 for a dead one, by √(D·E[r²]) of each.
func (l *linear) inverses(sizes []float64) []float64 {
	factors := make([]float64, len(sizes))
	for i, size := range sizes {
		if l.norms.Wide {
			size = floats.Norm(sizes, 2) / math.Sqrt(float64(len(sizes)))
		}
		if size > 0 {
			factors[i] = math.Sqrt(float64(l.Shape().HeadDim)) / size
		}
	}
	return factors
}

// Query returns the projection to the queries of a head, [D × d], norm included.
func (l *linear) Query(h int) (*mat.Dense, error) {
	q, err := l.Projections.Query(h)
	if err == nil {
		D := l.Shape().HeadDim
		scaleRows(q, l.norms.Query[h*D:(h+1)*D], l.query[h])
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
		scaleRows(stack.Slice(g*D, (g+1)*D, 0, d).(*mat.Dense), l.norms.Key[g*D:(g+1)*D], factor)
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
	if o.wide {
		addRMS(o.sums.QueryRMS, q, q.Cols, o.eps)
		addRMS(o.sums.KeyRMS, k, k.Cols, o.eps)
		return
	}
	addRMS(o.sums.QueryRMS, q, headDim, o.eps)
	addRMS(o.sums.KeyRMS, k, headDim, o.eps)
}

// addRMS adds the root mean squares of all tokens of m, [T × heads·D], to sums, [heads·rmsSums].
// Each is one of so many columns, of a head or of all. Sums is empty where there are no norms.
func addRMS(sums []float64, m f32.Matrix, columns int, eps float64) {
	if len(sums) == 0 {
		return
	}
	share := len(sums) * columns / m.Cols // those sums that have the same columns
	for at := 0; at < len(sums); at += share {
		from := at / share * columns
		for t := range m.Rows {
			square := 0.0
			for _, v := range m.Data[t*m.Stride+from : t*m.Stride+from+columns] {
				square += float64(v) * float64(v)
			}
			r := math.Sqrt(square/float64(columns) + eps)
			for head := at; head < at+share; head += rmsSums {
				sums[head] += r
				sums[head+1] += r * r
			}
		}
	}
}
