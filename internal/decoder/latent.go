package decoder

import (
	"math"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/fastblas"
)

// latent is the attention of DeepseekV3ForCausalLM.
type latent struct {
	family.MLA
	heads       int
	norm        []float32
	q           Matrix // of the whole query, or of its up-projection
	qA          Matrix
	qNorm       []float32
	kvA, kvB, o Matrix
	kvNorm      []float32
	qABias      []float32 // nil: none
	kvABias     []float32
	oBias       []float32
	eps         float64
	frequency   []float64
	cached      func(Matrix)
}

func (r *layerReader) latent() *latent {
	a := &latent{
		MLA: *r.MLA, heads: r.Heads,
		norm: r.vector(family.InputNorm),
		kvA:  r.matrix(family.KVAProj), kvB: r.matrix(family.KVBProj), o: r.matrix(family.OProj),
		kvNorm: r.vector(family.KVANorm),
		eps:    r.NormEps, frequency: r.Frequencies(), cached: r.cached(),
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
func (a *latent) Attend(x Matrix) Matrix {
	h := NewMatrix(x.Rows, x.Cols)
	rmsNorm(h, x, a.norm, a.eps)
	q := a.query(h)
	kvA := affine(h, a.kvA, a.kvABias)
	c := columns(kvA, 0, a.KVLoraRank)
	rmsNorm(c, c, a.kvNorm, a.LatentEps)
	turn := newRotation(a.frequency, x.Rows)
	turn.apply(kvA, a.KVLoraRank, 2, 1)
	a.cached(c)
	a.cached(columns(kvA, a.KVLoraRank, a.RopeDim))
	kv := project(c, a.kvB)

	width, kvWidth := a.NopeDim+a.RopeDim, a.NopeDim+a.ValueDim
	out := NewMatrix(x.Rows, a.heads*a.ValueDim)
	scale := 1 / math.Sqrt(float64(width))
	fastblas.Each(a.heads, func(head int) {
		turn.apply(q, head*width+a.NopeDim, 2, 1)
		key := joined(kv, head*kvWidth, a.NopeDim, kvA, a.KVLoraRank, a.RopeDim)
		attend(columns(out, head*a.ValueDim, a.ValueDim), columns(q, head*width, width), key, columns(kv, head*kvWidth+a.NopeDim, a.ValueDim), scale, 0, nil)
	})
	return affine(out, a.o, a.oBias)
}

func (a *latent) query(h Matrix) Matrix {
	if a.QLoraRank == 0 {
		return project(h, a.q)
	}
	compressed := affine(h, a.qA, a.qABias)
	rmsNorm(compressed, compressed, a.qNorm, a.LatentEps)
	return project(compressed, a.q)
}
