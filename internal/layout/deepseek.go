package layout

import (
	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/mla"
)

// Eps is the rms_norm_eps that the deepseek layout writes for all engines. Transformers has
// it hard-coded in kv_a_layernorm, and the others take it from the configuration, so that
// they agree at this value alone (design §6).
const Eps = family.LatentEps

// LatentNorm says what kv_a_layernorm does to the latent (design §6).
type LatentNorm string

// The two ways of design §6.
const (
	NormLinear LatentNorm = "linear" // it multiplies by a constant alone, which is exact
	NormRMS    LatentNorm = "rms"    // it norms, which is inexact at first and meant for fine-tuning
)

// QLora says how the query is projected: in one step, or through q_lora_rank
// floats. A positive value is that rank.
type QLora int

// The ways that are no rank.
const (
	QLoraNone  QLora = 0  // in one step
	QLoraExact QLora = -1 // through as many floats as the input has, exactly, for engines that need q_lora_rank
	QLoraNorm  QLora = -2 // through the queries of all heads before the source's norm of all of them, exactly
)

// Rank returns the rank that the query is compressed to, or 0 if it is not compressed.
func (q QLora) Rank() int { return max(0, int(q)) }

// Deepseek is the layout that stock engines load as a dense DeepSeek-V3 (design §6).
type Deepseek struct {
	Rank, RopeDims int // r and dr, as the conversion yields them
	family.MLA         // the sizes that are written; what is larger is padded with zeros
	LatentNorm     LatentNorm
	Residual       float64     // R, factor of the residual stream, on o_proj
	NormEps        float64     // the rms_norm_eps that is written
	gguf           bool        // it is marked as a model for GGUF files alone
	tied           bool        // the embedding is the head, too
	biased         bool        // biases are written where Transformers has them
	zeros          bool        // the source has no MLP beside its experts, and one of zeros is written
	maths          mla.Options // that a layer is converted with
}

// NewDeepseek lays out a model of shape s that is converted with o. The query is projected
// as q says, and residual is R.
func NewDeepseek(s family.Shape, o mla.Options, norm LatentNorm, residual float64, q QLora) *Deepseek {
	d := &Deepseek{
		Rank: o.Rank, RopeDims: o.RopeDims, LatentNorm: norm, Residual: residual, NormEps: Eps, maths: o,
		MLA: family.MLA{KVLoraRank: o.Rank, RopeDim: o.RopeDims, NopeDim: s.HeadDim, ValueDim: s.HeadDim, LatentEps: Eps},
	}
	d.QLoraRank = q.Rank()
	switch q {
	case QLoraExact:
		d.QLoraRank = s.Hidden
	case QLoraNorm:
		d.QLoraRank = s.Heads * s.HeadDim
	}
	return d
}

// KeepEps keeps the ε of the source, for one engine that has latent as the ε of the norms
// of latents. The engines need not agree then, so that the residual stream keeps its scale
// (design §6).
func (d *Deepseek) KeepEps(source, latent float64) {
	d.NormEps, d.LatentEps, d.Residual = source, latent, 1
}

// Amplify multiplies the residual stream by gain, a power of two, and ε by its square. An
// engine computes the same, but at a larger ε a larger latent passes its norm unchanged,
// which types that lose small numbers need (design §6).
func (d *Deepseek) Amplify(gain float64) {
	d.Residual *= gain
	d.NormEps *= gain * gain
	d.LatentEps *= gain * gain
}

// MarkGGUF marks the model as one for GGUF files alone, so that engines which would load it
// and compute something else stop. Where yarn scales RoPE there is no place for the mark. A
// query that is projected in one step is written as a q_lora_rank of 0, which llama.cpp takes
// in a model of any size, and null it does not.
func (d *Deepseek) MarkGGUF() { d.gguf = true }

// TieHead leaves the head out, for a source that ties it to the embedding and an engine that
// does so, too. The norm before it makes up for the factor of the residual stream, which the
// embedding has.
func (d *Deepseek) TieHead() { d.tied = true }

// KeepBiases makes the layout write biases where Transformers' class has them (design §8).
// That class has none for the queries, whose biases come through one more channel of the
// compressed query, which is constant.
func (d *Deepseek) KeepBiases(s family.Shape) {
	if d.QLoraRank == 0 {
		d.QLoraRank = s.Hidden
	}
	d.QLoraRank++
	d.biased = true
}

// Share decides what is written for an engine, which is empty for all of them, where a source
// has no MLP that all tokens pass beside its experts. Transformers and SGLang take none
// (transformers 5.24.0: models/deepseek_v3; sglang 0.5.23: models/deepseek_v2.py). llama.cpp
// wants the tensors (ggml-org/llama.cpp: src/models/deepseek2.cpp). vLLM and mlx-lm want null for
// none (vllm 0.32.0: models/deepseek_v2.py; mlx-lm 0.32.2: models/deepseek_v3.py), at which the
// configuration class of Transformers stops, with which vLLM reads it. One of zeros suits all and
// changes nothing.
func (d *Deepseek) Share(e engine.Engine) { d.zeros = e != engine.HF && e != engine.SGLang }
