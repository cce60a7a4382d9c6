package calib

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/linalg"
)

// rmsSums is how many sums over the root mean squares r of a head are kept: the sum of
// r and the sum of r².
const rmsSums = 2

// linear makes a layer with norms on queries and keys look like one without (design §8). With
// data, a linear map of the input takes their place, see nearest. Without, a constant takes the
// place of 1/r, by which the norm of a head multiplies.
type linear struct {
	Projections
	norms      *family.HeadNorms
	query, key []float64  // [H] and [G]: these constants
	queries    *mat.Dense // [H·D × d]: these maps, before the weights of the norm; nil without data
	keys       *mat.Dense // [G·D × d]
}

// NormError is the relative error that linear queries and keys make in the place of norms, root
// mean square over heads: of both, and of keys alone.
type NormError struct{ All, Keys float64 }

// WithoutHeadNorms returns p with the norms on queries and keys, if there are any, folded
// into the weights (design §8). Wrong says what error this makes of the tokens in sums. If sums
// is nil, the error is not known and 0, and inputs are those that RMSNorm alone describes. Errors
// are those of reading the weights.
func WithoutHeadNorms(p Projections, sums *Sums) (without Projections, wrong NormError, err error) {
	norms, err := p.HeadNorms()
	if err != nil || norms == nil {
		return p, wrong, err
	}
	l := &linear{Projections: p, norms: norms}
	if sums == nil {
		return l, wrong, l.expect()
	}
	wrong, err = l.fit(sums)
	return l, wrong, err
}

// fit sets the maps to those that are nearest on the tokens of sums.
func (l *linear) fit(sums *Sums) (wrong NormError, err error) {
	s := l.Shape()
	l.query, l.key = constants(sums.QueryRMS), constants(sums.KeyRMS)
	plain := mat.NewSymDense(s.Hidden, nil)
	plain.ScaleSym(1/sums.Tokens, sums.Input)
	queries := mat.NewDense(s.Heads*s.HeadDim, s.Hidden, nil)
	for h, factor := range l.query {
		q, err := l.Projections.Query(h)
		if err != nil {
			return wrong, err
		}
		to := queries.Slice(h*s.HeadDim, (h+1)*s.HeadDim, 0, s.Hidden).(*mat.Dense)
		to.Scale(factor, q)
	}
	stack, err := l.Projections.KeyValue()
	if err != nil {
		return wrong, err
	}
	keys := stack.Slice(0, s.KVHeads*s.HeadDim, 0, s.Hidden).(*mat.Dense)
	for g, factor := range l.key {
		to := keys.Slice(g*s.HeadDim, (g+1)*s.HeadDim, 0, s.Hidden).(*mat.Dense)
		to.Scale(factor, to)
	}
	var off, offKeys float64
	l.queries, off = nearest(queries, mean(sums.QueryCross, sums.Tokens), plain)
	l.keys, offKeys = nearest(keys, sums.keyCross(), inputMoments(sums))
	h, g := float64(s.Heads), float64(s.KVHeads)
	return NormError{math.Sqrt((h*off + g*offKeys) / (h + g)), math.Sqrt(offKeys)}, nil
}

// constants returns what stands for 1/r in each head, E[r]/E[r²] by the sums of r and r². It is
// the nearest in least squares. With the mean of 1/r instead, the divergence is a third higher on
// random models of small heads.
func constants(sums []float64) (all []float64) {
	for at := 0; at < len(sums); at += rmsSums {
		all = append(all, sums[at]/sums[at+1])
	}
	return all
}

// keyCross returns E[n xᵀ] of the keys over the inputs that inputMoments is about.
func (s *Sums) keyCross() []float64 {
	if s.Attended == nil {
		return mean(s.KeyCross, s.Tokens)
	}
	both := mean(s.KeyCross, s.Tokens/(1-attendedPart))
	addTo(both, mean(s.AttendedCross, total(s.Values)/attendedPart))
	return both
}

// nearest returns the linear map of inputs x that is nearest in least squares to n, which has a
// mean square of 1, and its mean square error. Cross is E[n xᵀ], [n × d], and c is E[x xᵀ]. The map
// differs from rows, [n × d], a map that is known to be near, only as far as data shows it to:
// rows + (cross − rows·C)(C + λI)⁻¹.
func nearest(rows *mat.Dense, cross []float64, c *mat.SymDense) (*mat.Dense, float64) {
	n, d := rows.Dims()
	var left, change mat.Dense
	left.Mul(rows, c)
	target := mat.NewDense(n, d, cross)
	left.Sub(target, &left)
	lifted := mat.NewSymDense(d, nil)
	lifted.CopySym(c)
	for j := range d {
		lifted.SetSym(j, j, c.At(j, j)+Shrinkage*mat.Trace(c)/float64(d))
	}
	var chol mat.Cholesky
	if chol.Factorize(lifted) && chol.SolveTo(&change, left.T()) == nil {
		rows.Add(rows, change.T())
	}
	left.Mul(rows, c)
	left.Sub(&left, target)
	left.Sub(&left, target)
	off := 1.0
	for i := range n {
		off += mat.Dot(rows.RowView(i), left.RowView(i)) / float64(n)
	}
	return rows, max(0, off)
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
	D, d := l.Shape().HeadDim, l.Shape().Hidden
	weights := l.norms.Query[h*D : (h+1)*D]
	if l.queries != nil {
		q := mat.DenseCopyOf(l.queries.Slice(h*D, (h+1)*D, 0, d))
		scaleRows(q, weights, 1)
		return q, nil
	}
	q, err := l.Projections.Query(h)
	if err == nil {
		scaleRows(q, weights, l.query[h])
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
	if l.keys != nil {
		stack.Slice(0, len(l.key)*D, 0, d).(*mat.Dense).Copy(l.keys)
	}
	for g, factor := range l.key {
		if l.keys != nil {
			factor = 1
		}
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

// heads adds up the root mean squares of queries and keys before their norms, and keeps what the
// norms make of them before their weights.
func (o *observation) heads(q, k f32.Matrix, headDim int) {
	if len(o.sums.QueryRMS) == 0 {
		return
	}
	queries, keys := headDim, headDim // columns that are normed together
	if o.wide {
		queries, keys = q.Cols, k.Cols
	}
	o.q, o.k = q.Clone(), k.Clone()
	norm(o.sums.QueryRMS, o.q, queries, o.eps)
	norm(o.sums.KeyRMS, o.k, keys, o.eps)
}

// norm divides all tokens of m, [T × heads·D], by their root mean squares over so many columns
// each, those of a head or of all, and adds these to sums, [heads·rmsSums].
func norm(sums []float64, m f32.Matrix, columns int, eps float64) {
	share := len(sums) * columns / m.Cols // those sums that have the same columns
	for at := 0; at < len(sums); at += share {
		from := at / share * columns
		for t := range m.Rows {
			row, square := m.Data[t*m.Stride+from:t*m.Stride+from+columns], 0.0
			for _, v := range row {
				square += float64(v) * float64(v)
			}
			r := math.Sqrt(square/float64(columns) + eps)
			for head := at; head < at+share; head += rmsSums {
				sums[head] += r
				sums[head+1] += r * r
			}
			for i := range row {
				row[i] = float32(float64(row[i]) / r)
			}
		}
	}
}

// addCrosses adds the products of queries and keys with the inputs to sums.
func (o *observation) addCrosses(sums *Sums) {
	if o.q.Rows == 0 {
		return
	}
	add := func(to []float64, n f32.Matrix) {
		part := f32.New(n.Cols, o.x.Cols)
		f32.Product(part, blas.Trans, n, blas.NoTrans, o.x, 1, 0)
		for i, v := range part.Data {
			to[i] += float64(v)
		}
	}
	add(sums.QueryCross, o.q)
	add(sums.KeyCross, o.k)
	for t, w := range o.attended {
		for i, v := range o.k.Row(t) {
			o.k.Data[t*o.k.Stride+i] = float32(w) * v
		}
	}
	add(sums.AttendedCross, o.k)
}
