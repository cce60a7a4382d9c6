package forward

import (
	"math"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/fastblas"
)

// grouped is the attention of the classes with MHA, GQA or MQA.
type grouped struct {
	family.Shape
	norm       []float32
	q, k, v, o f32.Matrix
	qNorm      []float32 // [D] of each head's queries, or [H·D] of all together; nil if there are no such norms
	kNorm      []float32 // [D] of each head's keys, or [G·D]
	qBias      []float32 // nil, like the other biases, if there is none
	kBias      []float32
	vBias      []float32
	oBias      []float32
	window     int       // how many positions a query attends to, 0 for all
	eps        float64   // of all norms
	frequency  []float64 // [J], in radians per token
	cached     func(f32.Matrix)
}

// grouped reads the attention of a layer with MHA, GQA or MQA.
func (r *layerReader) grouped() *grouped {
	a := &grouped{
		Shape: r.Shape(),
		norm:  r.vector(family.InputNorm),
		q:     r.matrix(family.QProj), k: r.matrix(family.KProj), v: r.matrix(family.VProj), o: r.matrix(family.OProj),
		window: r.Window.Of(r.layer), eps: r.NormEps, frequency: r.Frequencies(r.layer), cached: r.cached(),
	}
	if r.HeadNorms {
		a.qNorm, a.kNorm = r.vector(family.QNorm), r.vector(family.KNorm)
	}
	if r.Biases {
		a.qBias, a.kBias, a.vBias = r.vector(family.QBias), r.vector(family.KBias), r.vector(family.VBias)
	}
	if r.OutputBias {
		a.oBias = r.vector(family.OBias)
	}
	return a
}

// Attend is attention with RoPE on the halves of each head.
func (a *grouped) Attend(x f32.Matrix) f32.Matrix { return a.observe(x, Observer{}) }

// observe is Attend with an observer.
func (a *grouped) observe(x f32.Matrix, o Observer) f32.Matrix {
	q, k, v := a.project(x, o)
	turn := f32.NewRotation(a.frequency, 0, x.Rows)
	J := a.HeadDim / 2
	for head := range a.Heads {
		turn.Apply(q, head*a.HeadDim, 1, J)
	}
	for head := range a.KVHeads {
		turn.Apply(k, head*a.HeadDim, 1, J)
		a.cached(k.ColumnsFrom(head*a.HeadDim, a.HeadDim))
		a.cached(v.ColumnsFrom(head*a.HeadDim, a.HeadDim))
	}
	if o.Rotary != nil {
		o.Rotary(q, k, a.HeadDim)
	}
	out := f32.New(x.Rows, a.Heads*a.HeadDim)
	scale := 1 / math.Sqrt(float64(a.HeadDim))
	fastblas.Each(a.Heads, func(head int) {
		at, kv := head*a.HeadDim, a.KVHead(head)*a.HeadDim
		values := v.ColumnsFrom(kv, a.HeadDim)
		var seen func(from int, probabilities, mixed f32.Matrix)
		if o.Head != nil {
			see := o.Head(head)
			seen = func(from int, p, mixed f32.Matrix) { see(from, p, values, mixed) }
		}
		f32.Attention(out.ColumnsFrom(at, a.HeadDim), q.ColumnsFrom(at, a.HeadDim), k.ColumnsFrom(kv, a.HeadDim), values, scale, a.window, seen)
	})
	return affine(out, a.o, a.oBias)
}

// project returns queries, [T × H·D], keys and values, [T × G·D] each, before they are
// rotated, heads side by side.
func (a *grouped) project(x f32.Matrix, o Observer) (q, k, v f32.Matrix) {
	h := f32.New(x.Rows, x.Cols)
	f32.RMSNorm(h, x, a.norm, a.eps)
	if o.Input != nil {
		o.Input(h)
	}
	q, k, v = affine(h, a.q, a.qBias), affine(h, a.k, a.kBias), affine(h, a.v, a.vBias)
	if o.Heads != nil {
		o.Heads(q, k, a.HeadDim)
	}
	normHeads(q, a.qNorm, a.eps)
	normHeads(k, a.kNorm, a.eps)
	return q, k, v
}

// normHeads applies the norm of queries or keys, if there is one, to as many columns of m at a
// time as gamma has weights: to each head, or to all together.
func normHeads(m f32.Matrix, gamma []float32, eps float64) {
	if gamma == nil {
		return
	}
	for from := 0; from < m.Cols; from += len(gamma) {
		part := m.ColumnsFrom(from, len(gamma))
		f32.RMSNorm(part, part, gamma, eps)
	}
}

// affine returns x·wᵀ, [T × n], with bias, [n], added to every row if it is not nil.
func affine(x, w f32.Matrix, bias []float32) f32.Matrix {
	y := f32.Project(x, w)
	if bias != nil {
		y.AddRow(bias, nil)
	}
	return y
}
