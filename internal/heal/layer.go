package heal

import (
	"gonum.org/v1/gonum/mat"
)

// Weights is the latent attention of one layer as what it computes with, in a
// form that the layouts have in common. For attention inputs x, [d]:
//
//	query          Query·x, or Query·QueryDown·x; per head its content rows, then its rotary rows
//	rotary keys    Rotary·x, one for all heads or one per KV head
//	latents        DownK·x and DownV·x, through the latent norm if there is one
//	content keys   UpK·latent, values UpV·latent: per head, or per KV head
//
// Scores, of query and key with both rotated, are times Scale. What the heads
// attend to goes through Output and onto the residual stream.
type Weights struct {
	Heads     int
	Query     *mat.Dense // [H·(n+p) × d], or of as many columns as QueryDown has rows
	QueryDown *mat.Dense // [q × d]; nil: queries are not compressed
	Rotary    *mat.Dense // [K·p × d]; K divides H
	DownK     *mat.Dense // [r × d]
	DownV     *mat.Dense // nil: DownK serves keys and values
	UpK       *mat.Dense // [K'·n × r]; K' divides H; nil if keys have no content
	UpV       *mat.Dense // [K'·v × r]
	Norm      []float64  // [r]: the latent c becomes Norm ∘ c/√(mean c² + NormEps); nil: there is no norm
	NormEps   float64
	Output    *mat.Dense // [d × H·v]

	KeyHeads    int         // K', of content keys and values
	Frequencies [][]float64 // [K] of [p/2]: of the rotary keys, in radians per token
	Interleaved bool        // the parts of a rotary pair are neighbours; else p/2 apart
	Scale       float64
}

// tensor is one tensor of a layer, by a name.
type tensor[T real] struct {
	name string
	matrix[T]
}

// layer is Weights in one precision, tensors that there are not being empty.
type layer[T real] struct {
	heads, keyHeads         int
	content, rotary, value  int // n, p and v
	interleaved             bool
	scale, normEps          T
	frequencies             [][]float64
	query, queryDown        matrix[T]
	rotaryKey, downK, downV matrix[T]
	upK, upV, norm, output  matrix[T]
}

// newLayer copies weights.
func newLayer[T real](w *Weights) *layer[T] {
	l := &layer[T]{
		heads: w.Heads, keyHeads: w.KeyHeads, interleaved: w.Interleaved,
		scale: T(w.Scale), normEps: T(w.NormEps), frequencies: w.Frequencies,
		query: copied[T](w.Query), queryDown: copied[T](w.QueryDown),
		rotaryKey: copied[T](w.Rotary), downK: copied[T](w.DownK), downV: copied[T](w.DownV),
		upK: copied[T](w.UpK), upV: copied[T](w.UpV), output: copied[T](w.Output),
	}
	if w.Norm != nil {
		l.norm = copied[T](mat.NewDense(1, len(w.Norm), w.Norm))
	}
	l.rotary = l.rotaryKey.rows / len(w.Frequencies)
	l.content = l.query.rows/l.heads - l.rotary
	l.value = l.output.cols / l.heads
	return l
}

// tensors lists the tensors that there are.
func (l *layer[T]) tensors() []tensor[T] {
	var all []tensor[T]
	for _, t := range []tensor[T]{
		{"query", l.query}, {"query down", l.queryDown}, {"rotary key", l.rotaryKey},
		{"down", l.downK}, {"value down", l.downV}, {"key up", l.upK}, {"value up", l.upV},
		{"latent norm", l.norm}, {"output", l.output},
	} {
		if t.rows > 0 {
			all = append(all, t)
		}
	}
	return all
}

// twin returns a layer of the same form whose tensors are zero: gradients.
func (l *layer[T]) twin() *layer[T] {
	g := *l
	g.query, g.queryDown, g.rotaryKey = like(l.query), like(l.queryDown), like(l.rotaryKey)
	g.downK, g.downV, g.norm = like(l.downK), like(l.downV), like(l.norm)
	g.upK, g.upV, g.output = like(l.upK), like(l.upV), like(l.output)
	return &g
}

// copy returns a layer of the same form with the same tensors.
func (l *layer[T]) copy() *layer[T] {
	c := l.twin()
	to := c.tensors()
	for k, t := range l.tensors() {
		to[k].copyFrom(t.matrix)
	}
	return c
}

// weights returns the tensors as weights in the form of w.
func (l *layer[T]) weights(w *Weights) *Weights {
	healed := *w
	healed.Query, healed.QueryDown, healed.Rotary = dense(l.query), dense(l.queryDown), dense(l.rotaryKey)
	healed.DownK, healed.DownV = dense(l.downK), dense(l.downV)
	healed.UpK, healed.UpV, healed.Output = dense(l.upK), dense(l.upV), dense(l.output)
	if w.Norm != nil {
		healed.Norm = dense(l.norm).RawRowView(0)
	}
	return &healed
}

// copied returns m in one precision; empty if it is nil.
func copied[T real](m *mat.Dense) matrix[T] {
	if m == nil {
		return matrix[T]{}
	}
	n, c := m.Dims()
	to := newMatrix[T](n, c)
	for i := range n {
		row := to.row(i)
		for j, v := range m.RawRowView(i) {
			row[j] = T(v)
		}
	}
	return to
}

// dense is the inverse of copied.
func dense[T real](m matrix[T]) *mat.Dense {
	if m.rows == 0 {
		return nil
	}
	to := mat.NewDense(m.rows, m.cols, nil)
	for i := range m.rows {
		row := to.RawRowView(i)
		for j, v := range m.row(i) {
			row[j] = float64(v)
		}
	}
	return to
}
