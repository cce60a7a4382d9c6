package latent

import (
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/f32"
)

// Weights are the weights that the latent attention of one layer computes with, in a form
// that the layouts have in common (design §16). For attention inputs x, [d]:
//
//	query          Query·x, or Query·QueryDown·x; per head its content rows, then its rotary rows
//	               where QueryDown·x passes a norm, each head projects its own part of it
//	rotary keys    Rotary·x, one for all heads or one per KV head
//	latents        DownK·x and DownV·x, through the latent norm if there is one
//	content keys   UpK·latent, values UpV·latent: per head, or per KV head
//
// Queries and rotary keys are rotated by their positions, and the scores of the rotated
// queries and keys are multiplied by Scale. The values that the heads attend to go through
// Output and are added to the residual stream. A head has n content dimensions, p rotary
// ones, and v of its values.
type Weights struct {
	Heads     int        // H
	Query     *mat.Dense // [H·(n+p) × d], or [H·(n+p) × q] of compressed queries
	QueryDown *mat.Dense // [q × d], nil if queries are not compressed
	QueryNorm []float64  // [q]: as Norm, of the compressed queries; Query is then [H·(n+p) × q/H]
	QueryEps  float64    // ε of that norm
	Rotary    *mat.Dense // [K·p × d]; K divides H
	DownK     *mat.Dense // [r × d]
	DownV     *mat.Dense // [r × d], nil if DownK serves keys and values
	UpK       *mat.Dense // [K'·n × r]; K' divides H; nil if keys have no content
	UpV       *mat.Dense // [K'·v × r]
	Norm      []float64  // [r]: the latent c becomes Norm ∘ c/√(mean c² + NormEps); nil if there is no norm
	NormEps   float64    // ε of the norm
	Output    *mat.Dense // [d × H·v]

	KeyHeads    int         // K', of content keys and values
	Frequencies [][]float64 // [K] of [p/2]: those of the rotary keys, in radians per token
	Interleaved bool        // the parts of a rotary pair are neighbours, else p/2 apart
	Scale       float64     // factor of the scores
}

// Tensor is one tensor of a layer, with its name.
type Tensor[T f32.Real] struct {
	Name string
	f32.General[T]
	heads int // among which its rows are divided, or 1
}

// Layer is Weights in single or double precision. Tensors that Weights lacks are empty.
type Layer[T f32.Real] struct {
	heads, keyHeads          int
	contentDim               int // n
	rotaryDim, valueDim      int // p and v
	interleaved              bool
	scale, normEps, queryEps T
	frequencies              [][]float64
	query, queryDown         f32.General[T]
	queryNorm                f32.General[T]
	rotaryKey, downK, downV  f32.General[T]
	upK, upV, norm           f32.General[T]
	Output                   f32.General[T] // [d × H·v]
}

// New copies weights into a layer.
func New[T f32.Real](w *Weights) *Layer[T] {
	l := &Layer[T]{
		heads: w.Heads, keyHeads: w.KeyHeads, interleaved: w.Interleaved,
		scale: T(w.Scale), normEps: T(w.NormEps), queryEps: T(w.QueryEps), frequencies: w.Frequencies,
		query: f32.From[T](w.Query), queryDown: f32.From[T](w.QueryDown),
		rotaryKey: f32.From[T](w.Rotary), downK: f32.From[T](w.DownK), downV: f32.From[T](w.DownV),
		upK: f32.From[T](w.UpK), upV: f32.From[T](w.UpV), Output: f32.From[T](w.Output),
	}
	l.norm, l.queryNorm = row[T](w.Norm), row[T](w.QueryNorm)
	l.rotaryDim = l.rotaryKey.Rows / len(w.Frequencies)
	l.contentDim = l.query.Rows/l.heads - l.rotaryDim
	l.valueDim = l.Output.Cols / l.heads
	return l
}

// row returns v as a matrix of one row, empty if v is.
func row[T f32.Real](v []float64) f32.General[T] {
	if len(v) == 0 {
		return f32.General[T]{}
	}
	return f32.From[T](mat.NewDense(1, len(v), v))
}

// Tensors lists the tensors that are not empty, always in the same order.
func (l *Layer[T]) Tensors() []Tensor[T] {
	var all []Tensor[T]
	for _, t := range []Tensor[T]{
		{"query", l.query, l.heads}, {"query down", l.queryDown, 1}, {"query norm", l.queryNorm, 1},
		{"rotary key", l.rotaryKey, len(l.frequencies)}, {"down", l.downK, 1}, {"value down", l.downV, 1},
		{"key up", l.upK, l.keyHeads}, {"value up", l.upV, l.keyHeads}, {"latent norm", l.norm, 1}, {"output", l.Output, 1},
	} {
		if t.Rows > 0 {
			all = append(all, t)
		}
	}
	return all
}

// Twin returns a layer of the same form whose tensors are zero, to hold gradients.
func (l *Layer[T]) Twin() *Layer[T] {
	g := *l
	g.query, g.queryDown, g.queryNorm, g.rotaryKey = l.query.Like(), l.queryDown.Like(), l.queryNorm.Like(), l.rotaryKey.Like()
	g.downK, g.downV, g.norm = l.downK.Like(), l.downV.Like(), l.norm.Like()
	g.upK, g.upV, g.Output = l.upK.Like(), l.upV.Like(), l.Output.Like()
	return &g
}

// Copy returns a layer of the same form with the same tensors.
func (l *Layer[T]) Copy() *Layer[T] {
	c := l.Twin()
	to := c.Tensors()
	for k, t := range l.Tensors() {
		to[k].CopyFrom(t.General)
	}
	return c
}

// Weights returns the tensors as weights in the form of w.
func (l *Layer[T]) Weights(w *Weights) *Weights {
	healed := *w
	healed.Query, healed.QueryDown, healed.Rotary = l.query.Dense(), l.queryDown.Dense(), l.rotaryKey.Dense()
	healed.DownK, healed.DownV = l.downK.Dense(), l.downV.Dense()
	healed.UpK, healed.UpV, healed.Output = l.upK.Dense(), l.upV.Dense(), l.Output.Dense()
	if w.Norm != nil {
		healed.Norm = l.norm.Dense().RawRowView(0)
	}
	if w.QueryNorm != nil {
		healed.QueryNorm = l.queryNorm.Dense().RawRowView(0)
	}
	return &healed
}
