package forward

import (
	"math"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/fastblas"
)

// perHead is the attention of the reference implementation of the MHA2MLA paper (design §7).
type perHead struct {
	family.Shape
	dr        int // rotary dimensions of a head
	norm      []float32
	q         f32.Matrix   // rotary rows of all heads, then the content rows of all heads
	kr        f32.Matrix   // rotary keys of all KV heads
	down      []f32.Matrix // one for keys and values, or one for each
	upK, upV  f32.Matrix   // from the first and from the last latent of down
	o         f32.Matrix
	eps       float64
	frequency [][]float64 // [G] of [dr/2]: of the pairs that are kept, in radians per token

	qBias, krBias, upKBias, upVBias, oBias []float32 // nil if there is none
}

// perHead reads the attention of a layer in the mha2mla layout.
func (r *layerReader) perHead() *perHead {
	a := &perHead{
		Shape: r.Shape(), dr: r.PerHead.RopeDim,
		norm: r.vector(family.InputNorm),
		q:    r.matrix(family.QProj), kr: r.matrix(family.KRProj), o: r.matrix(family.OProj),
		upK: r.matrix(family.UpK), upV: r.matrix(family.UpV),
		eps: r.NormEps,
	}
	if r.PerHead.Split {
		a.down = []f32.Matrix{r.matrix(family.DownK), r.matrix(family.DownV)}
	} else {
		a.down = []f32.Matrix{r.matrix(family.DownKV)}
	}
	if r.Biases {
		a.qBias, a.krBias, a.upKBias, a.upVBias = r.vector(family.QBias), r.vector(family.KRBias), r.vector(family.UpKBias), r.vector(family.UpVBias)
	}
	if r.OutputBias {
		a.oBias = r.vector(family.OBias)
	}
	all := r.Frequencies(r.layer)
	for _, kept := range r.PerHead.Kept(r.layer) {
		var own []float64
		for _, i := range kept {
			own = append(own, all[i])
		}
		a.frequency = append(a.frequency, own)
	}
	return a
}

// Attend is attention with RoPE on the halves of the rotary part of each head,
// at the frequencies of the pairs that its KV head keeps.
func (a *perHead) Attend(x f32.Matrix) f32.Matrix {
	h := f32.New(x.Rows, x.Cols)
	f32.RMSNorm(h, x, a.norm, a.eps)
	q, kr := affine(h, a.q, a.qBias), affine(h, a.kr, a.krBias)
	c := f32.Project(h, a.down[0])
	var content f32.Matrix
	if a.dr < a.HeadDim { // otherwise keys have no content
		content = affine(c, a.upK, a.upKBias)
	}
	if len(a.down) > 1 {
		c = f32.Project(h, a.down[1])
	}
	v := affine(c, a.upV, a.upVBias)
	out := f32.New(x.Rows, a.Heads*a.HeadDim)
	scale := 1 / math.Sqrt(float64(a.HeadDim))
	for g := range a.KVHeads {
		turn := f32.NewRotation(a.frequency[g], 0, x.Rows)
		turn.Apply(kr, g*a.dr, 1, a.dr/2)
		rest := a.HeadDim - a.dr
		key := f32.Beside(kr.ColumnsFrom(g*a.dr, a.dr), content.ColumnsFrom(g*rest, rest))
		fastblas.Each(a.Group(), func(i int) {
			head := g*a.Group() + i
			turn.Apply(q, head*a.dr, 1, a.dr/2)
			query := f32.Beside(q.ColumnsFrom(head*a.dr, a.dr), q.ColumnsFrom(a.Heads*a.dr+head*rest, rest))
			f32.Attention(out.ColumnsFrom(head*a.HeadDim, a.HeadDim), query, key, v.ColumnsFrom(g*a.HeadDim, a.HeadDim), scale, 0, nil)
		})
	}
	return affine(out, a.o, a.oBias)
}
