package heal

import (
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/f32"
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
type tensor[T f32.Real] struct {
	name string
	f32.General[T]
}

// layer is Weights in one precision, tensors that there are not being empty.
type layer[T f32.Real] struct {
	heads, keyHeads         int
	contentDim              int // n, p and v, of one head
	rotaryDim, valueDim     int
	interleaved             bool
	scale, normEps          T
	frequencies             [][]float64
	query, queryDown        f32.General[T]
	rotaryKey, downK, downV f32.General[T]
	upK, upV, norm, output  f32.General[T]
}

// newLayer copies weights.
func newLayer[T f32.Real](w *Weights) *layer[T] {
	l := &layer[T]{
		heads: w.Heads, keyHeads: w.KeyHeads, interleaved: w.Interleaved,
		scale: T(w.Scale), normEps: T(w.NormEps), frequencies: w.Frequencies,
		query: f32.From[T](w.Query), queryDown: f32.From[T](w.QueryDown),
		rotaryKey: f32.From[T](w.Rotary), downK: f32.From[T](w.DownK), downV: f32.From[T](w.DownV),
		upK: f32.From[T](w.UpK), upV: f32.From[T](w.UpV), output: f32.From[T](w.Output),
	}
	if w.Norm != nil {
		l.norm = f32.From[T](mat.NewDense(1, len(w.Norm), w.Norm))
	}
	l.rotaryDim = l.rotaryKey.Rows / len(w.Frequencies)
	l.contentDim = l.query.Rows/l.heads - l.rotaryDim
	l.valueDim = l.output.Cols / l.heads
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
		if t.Rows > 0 {
			all = append(all, t)
		}
	}
	return all
}

// twin returns a layer of the same form whose tensors are zero: gradients.
func (l *layer[T]) twin() *layer[T] {
	g := *l
	g.query, g.queryDown, g.rotaryKey = l.query.Like(), l.queryDown.Like(), l.rotaryKey.Like()
	g.downK, g.downV, g.norm = l.downK.Like(), l.downV.Like(), l.norm.Like()
	g.upK, g.upV, g.output = l.upK.Like(), l.upV.Like(), l.output.Like()
	return &g
}

// copy returns a layer of the same form with the same tensors.
func (l *layer[T]) copy() *layer[T] {
	c := l.twin()
	to := c.tensors()
	for k, t := range l.tensors() {
		to[k].CopyFrom(t.General)
	}
	return c
}

// weights returns the tensors as weights in the form of w.
func (l *layer[T]) weights(w *Weights) *Weights {
	healed := *w
	healed.Query, healed.QueryDown, healed.Rotary = l.query.Dense(), l.queryDown.Dense(), l.rotaryKey.Dense()
	healed.DownK, healed.DownV = l.downK.Dense(), l.downV.Dense()
	healed.UpK, healed.UpV, healed.Output = l.upK.Dense(), l.upV.Dense(), l.output.Dense()
	if w.Norm != nil {
		healed.Norm = l.norm.Dense().RawRowView(0)
	}
	return &healed
}
