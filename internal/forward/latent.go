package forward

import (
	"math"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/fastblas"
)

// latent is the attention of DeepseekV3ForCausalLM (DeepSeek-V2, §2.1).
type latent struct {
	family.MLA
	heads       int
	norm        []float32
	q           f32.Matrix // q_proj, or q_b_proj if the query is compressed
	qA          f32.Matrix // empty if it is not
	qNorm       []float32
	kvA, kvB, o f32.Matrix
	kvNorm      []float32
	qABias      []float32 // nil, like the other biases, if there is none
	kvABias     []float32
	oBias       []float32
	eps         float64
	frequency   []float64
	cached      func(f32.Matrix)
}

// latent reads the attention of a layer with latent attention.
func (r *layerReader) latent() *latent {
	a := &latent{
		MLA: *r.MLA, heads: r.Heads,
		norm: r.vector(family.InputNorm),
		kvA:  r.matrix(family.KVAProj), kvB: r.matrix(family.KVBProj), o: r.matrix(family.OProj),
		kvNorm: r.vector(family.KVANorm),
		eps:    r.NormEps, frequency: r.Frequencies(r.layer), cached: r.cached(),
	}
	if a.QLoraRank == 0 {
		a.q = r.matrix(family.QProj)
	} else {
		a.qA, a.qNorm, a.q = r.matrix(family.QAProj), r.vector(family.QANorm), r.matrix(family.QBProj)
	}
	if r.Biases {
		a.kvABias, a.oBias = r.vector(family.KVABias), r.vector(family.OBias)
		if a.QLoraRank > 0 {
			a.qABias = r.vector(family.QABias)
		}
	}
	return a
}

// Attend is attention on keys and values projected up from the latent, with
// RoPE on interleaved pairs of one rotary key.
func (a *latent) Attend(x f32.Matrix) f32.Matrix {
	h := f32.New(x.Rows, x.Cols)
	f32.RMSNorm(h, x, a.norm, a.eps)
	q := a.query(h)
	kvA := affine(h, a.kvA, a.kvABias)
	c := kvA.ColumnsFrom(0, a.KVLoraRank)
	f32.RMSNorm(c, c, a.kvNorm, a.LatentEps)
	turn := f32.NewRotation(a.frequency, 0, x.Rows)
	turn.Apply(kvA, a.KVLoraRank, 2, 1)
	a.cached(c)
	a.cached(kvA.ColumnsFrom(a.KVLoraRank, a.RopeDim))
	kv := f32.Project(c, a.kvB)

	width, kvWidth := a.NopeDim+a.RopeDim, a.NopeDim+a.ValueDim
	out := f32.New(x.Rows, a.heads*a.ValueDim)
	scale := 1 / math.Sqrt(float64(width))
	fastblas.Each(a.heads, func(head int) {
		turn.Apply(q, head*width+a.NopeDim, 2, 1)
		key := f32.Beside(kv.ColumnsFrom(head*kvWidth, a.NopeDim), kvA.ColumnsFrom(a.KVLoraRank, a.RopeDim))
		f32.Attention(out.ColumnsFrom(head*a.ValueDim, a.ValueDim), q.ColumnsFrom(head*width, width), key, kv.ColumnsFrom(head*kvWidth+a.NopeDim, a.ValueDim), scale, 0, nil)
	})
	return affine(out, a.o, a.oBias)
}

// query returns the queries of all heads, before they are rotated, for attention inputs h.
func (a *latent) query(h f32.Matrix) f32.Matrix {
	if a.QLoraRank == 0 {
		return f32.Project(h, a.q)
	}
	compressed := affine(h, a.qA, a.qABias)
	f32.RMSNorm(compressed, compressed, a.qNorm, a.LatentEps)
	return f32.Project(compressed, a.q)
}
