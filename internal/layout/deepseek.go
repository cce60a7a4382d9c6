package layout

import (
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/mla"
)

// Eps is the rms_norm_eps of everything in the deepseek layout for all engines:
// Transformers has it hard-coded in kv_a_layernorm, others take it from the
// configuration, and they agree at this value alone (design §6).
const Eps = family.LatentEps

// LatentNorm says what kv_a_layernorm does to the latent.
type LatentNorm string

// The two ways of design §6.
const (
	NormLinear LatentNorm = "linear" // nothing but a constant factor: exact
	NormRMS    LatentNorm = "rms"    // what it was made for: inexact at first, for fine-tuning
)

// QLora says how the query is projected: in one step, or through q_lora_rank
// floats. A positive value is that rank.
type QLora int

// The ways that are no rank.
const (
	QLoraNone  QLora = 0
	QLoraExact QLora = -1 // of full rank, for engines that know no other: exact
)

// Rank is the rank that the query is compressed to, 0 if it is not.
func (q QLora) Rank() int { return max(0, int(q)) }

// Deepseek is the layout that stock engines load as a dense DeepSeek-V3.
type Deepseek struct {
	Rank, RopeDims int // as the mathematics gives them
	family.MLA         // as they are written, padded with zeros if larger
	LatentNorm     LatentNorm
	Residual       float64 // factor of the residual stream, on o_proj
	NormEps        float64 // rms_norm_eps that is written
	biased         bool    // with biases where Transformers has them
	maths          mla.Options
}

// NewDeepseek lays out a model of shape s converted with o, its query projected
// as q says.
func NewDeepseek(s family.Shape, o mla.Options, norm LatentNorm, residual float64, q QLora) *Deepseek {
	d := &Deepseek{
		Rank: o.Rank, RopeDims: o.RopeDims, LatentNorm: norm, Residual: residual, NormEps: Eps, maths: o,
		MLA: family.MLA{KVLoraRank: o.Rank, RopeDim: o.RopeDims, NopeDim: s.HeadDim, ValueDim: s.HeadDim, LatentEps: Eps},
	}
	d.QLoraRank = q.Rank()
	if q == QLoraExact {
		d.QLoraRank = s.Hidden
	}
	return d
}

// KeepEps keeps the ε of the source, with latent as that of the norms of latents:
// what one engine reads need not be what all agree on, and the residual stream
// keeps its scale.
func (d *Deepseek) KeepEps(source, latent float64) {
	d.NormEps, d.LatentEps, d.Residual = source, latent, 1
}

// Amplify multiplies the residual stream by gain, a power of two, and ε by its
// square, which changes nothing that an engine computes but the size of what is
// small: at a larger ε a larger latent passes its norm unchanged.
func (d *Deepseek) Amplify(gain float64) {
	d.Residual *= gain
	d.NormEps *= gain * gain
	d.LatentEps *= gain * gain
}

// KeepBiases gives the layout the biases of Transformers' class. The queries have
// none there; theirs come through one more channel of the compressed query, which
// is constant.
func (d *Deepseek) KeepBiases(s family.Shape) {
	if d.QLoraRank == 0 {
		d.QLoraRank = s.Hidden
	}
	d.QLoraRank++
	d.biased = true
}
