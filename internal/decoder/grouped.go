package decoder

import (
	"math"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/fastblas"
)

// grouped is the attention of the classes with MHA, GQA or MQA.
type grouped struct {
	family.Shape
	norm       []float32
	q, k, v, o Matrix
	qNorm      []float32 // of each head's queries; nil: none
	kNorm      []float32
	qBias      []float32 // nil: none
	kBias      []float32
	vBias      []float32
	oBias      []float32
	window     int // positions that are attended to; 0: all
	eps        float64
	frequency  []float64
	cached     func(Matrix)
}

func (r *layerReader) grouped() *grouped {
	a := &grouped{
		Shape: r.Shape(),
		norm:  r.vector(family.InputNorm),
		q:     r.matrix(family.QProj), k: r.matrix(family.KProj), v: r.matrix(family.VProj), o: r.matrix(family.OProj),
		window: r.Window.Of(r.layer), eps: r.NormEps, frequency: r.Frequencies(), cached: r.cached(),
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
func (a *grouped) Attend(x Matrix) Matrix { return a.observe(x, Observer{}) }

// observe is Attend before the eyes of an observer.
func (a *grouped) observe(x Matrix, o Observer) Matrix {
	q, k, v := a.project(x, o)
	turn := newRotation(a.frequency, x.Rows)
	J := a.HeadDim / 2
	for head := range a.Heads {
		turn.apply(q, head*a.HeadDim, 1, J)
	}
	for head := range a.KVHeads {
		turn.apply(k, head*a.HeadDim, 1, J)
		a.cached(columns(k, head*a.HeadDim, a.HeadDim))
		a.cached(columns(v, head*a.HeadDim, a.HeadDim))
	}
	if o.Rotary != nil {
		o.Rotary(q, k, a.HeadDim)
	}
	out := NewMatrix(x.Rows, a.Heads*a.HeadDim)
	scale := 1 / math.Sqrt(float64(a.HeadDim))
	fastblas.Each(a.Heads, func(head int) {
		at, kv := head*a.HeadDim, a.KVHead(head)*a.HeadDim
		values := columns(v, kv, a.HeadDim)
		var seen func(from int, probabilities, mixed Matrix)
		if o.Head != nil {
			see := o.Head(head)
			seen = func(from int, p, mixed Matrix) { see(from, p, values, mixed) }
		}
		attend(columns(out, at, a.HeadDim), columns(q, at, a.HeadDim), columns(k, kv, a.HeadDim), values, scale, a.window, seen)
	})
	return affine(out, a.o, a.oBias)
}

// project returns queries, keys and values before they are rotated, heads side by side,
// [T × H·D] and twice [T × G·D].
func (a *grouped) project(x Matrix, o Observer) (q, k, v Matrix) {
	h := NewMatrix(x.Rows, x.Cols)
	rmsNorm(h, x, a.norm, a.eps)
	if o.Input != nil {
		o.Input(h)
	}
	q, k, v = affine(h, a.q, a.qBias), affine(h, a.k, a.kBias), affine(h, a.v, a.vBias)
	if o.Heads != nil {
		o.Heads(q, k, a.HeadDim)
	}
	a.normHeads(q, a.qNorm)
	a.normHeads(k, a.kNorm)
	return q, k, v
}

// normHeads applies the norm of queries or keys to each head of m, if there is one.
func (a *grouped) normHeads(m Matrix, gamma []float32) {
	if gamma == nil {
		return
	}
	for from := 0; from < m.Cols; from += a.HeadDim {
		head := columns(m, from, a.HeadDim)
		rmsNorm(head, head, gamma, a.eps)
	}
}

// affine returns x·wᵀ plus bias, which may be nil, in every row.
func affine(x, w Matrix, bias []float32) Matrix {
	y := project(x, w)
	if bias != nil {
		for t := range y.Rows {
			row := y.Data[t*y.Stride : t*y.Stride+y.Cols]
			for j, b := range bias {
				row[j] += b
			}
		}
	}
	return y
}
