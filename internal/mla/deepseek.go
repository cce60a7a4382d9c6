package mla

import (
	"cmp"
	"fmt"
	"math"

	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
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

// Deepseek is the layout that stock engines load as a dense DeepSeek-V3.
type Deepseek struct {
	Rank, RopeDims int // as the mathematics gives them
	family.MLA         // as they are written, padded with zeros if larger
	LatentNorm     LatentNorm
	Residual       float64 // factor of the residual stream, on o_proj
	NormEps        float64 // rms_norm_eps that is written
	padded         bool
	exactQuery     bool // of full rank, through q_lora_rank
	biased         bool // with biases where Transformers has them
	maths          Options
}

// NewDeepseek lays out a model of shape s converted with o, its query projected
// as q says.
func NewDeepseek(s family.Shape, o Options, norm LatentNorm, residual float64, q QLora) *Deepseek {
	d := &Deepseek{
		Rank: o.Rank, RopeDims: o.RopeDims, LatentNorm: norm, Residual: residual, NormEps: Eps, maths: o,
		MLA: family.MLA{KVLoraRank: o.Rank, RopeDim: o.RopeDims, NopeDim: s.HeadDim, ValueDim: s.HeadDim, LatentEps: Eps},
	}
	if d.QLoraRank = q.Rank(); q == QLoraExact {
		d.QLoraRank, d.exactQuery = s.Hidden, true
	}
	return d
}

// PadToKernel enlarges the written sizes to those of the smallest GPU kernel
// that holds them.
func (d *Deepseek) PadToKernel() error {
	kernels := engine.Kernels()
	for _, k := range kernels {
		if d.Rank <= k.Rank && d.RopeDims <= k.RopeDims && d.NopeDim <= engine.KernelHeadDim {
			d.KVLoraRank, d.RopeDim, d.NopeDim, d.ValueDim = k.Rank, k.RopeDims, engine.KernelHeadDim, engine.KernelHeadDim
			d.padded = true
			return nil
		}
	}
	largest := kernels[len(kernels)-1]
	return fmt.Errorf("no kernel holds kv_lora_rank %d, rope-dims %d and head_dim %d: the largest takes %d, %d and %d",
		d.Rank, d.RopeDims, d.NopeDim, largest.Rank, largest.RopeDims, engine.KernelHeadDim)
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

// stride is the distance of the slots in the padded rotary key.
func (d *Deepseek) stride() int { return d.RopeDim / d.RopeDims }

// WrittenTheta is the rope_theta at which every stride-th slot of the written
// rotary key turns as the slots of the unpadded one do at theta.
func (d *Deepseek) WrittenTheta(theta float64) float64 {
	if d.RopeDim == d.RopeDims {
		return theta
	}
	return math.Pow(theta, float64(d.RopeDim)/float64(d.stride()*d.RopeDims))
}

// foreignKeys mean nothing in the source's class, and something to an engine that reads
// a DeepSeek-V3 or looks for them whatever the class is: other pairs, sparse attention,
// experts, no causal mask.
var foreignKeys = []string{
	"rope_interleave", "rope_interleaved", "qk_head_dim", "index_topk", "index_n_heads", "index_head_dim", "topk_method", "ep_size",
	"num_experts", "num_local_experts", "n_experts", "moe_topk", "dual_chunk_attention_config", "attention_chunk_size",
	"is_causal", "use_bidirectional_attention", "attn_logit_softcapping", "final_logit_softcapping", "quantization", "compression_config",
}

// Configure turns the configuration of the source into that of the target,
// key by key as design §6 lists them.
func (d *Deepseek) Configure(source, target *family.Model) *family.Config {
	c := source.Config.Clone()
	// head_dim crashes the stock class; the others speak of what is gone
	c.Delete("head_dim", "auto_map", "quantization_config", "rope_parameters", "partial_rotary_factor", "original_max_position_embeddings",
		"sliding_window", "use_sliding_window", "max_window_layers", "layer_types", "bias", "mlp_bias")
	c.Delete(foreignKeys...)
	c.Delete(source.Folded()...)
	var qRank, scaling any
	if d.QLoraRank > 0 {
		qRank = d.QLoraRank
	}
	if s := d.maths.RopeScaling; s != nil {
		scaling = family.YarnMembers(s)
	}
	for _, kv := range []struct {
		key   string
		value any
	}{
		{"architectures", []string{family.DeepseekClass}},
		{"model_type", "deepseek_v3"},
		{"num_key_value_heads", source.Heads},
		{"vocab_size", source.Vocab},
		{"max_position_embeddings", source.MaxPositions},
		{"hidden_act", cmp.Or(source.Activation, "silu")},
		{"rms_norm_eps", d.NormEps},
		{"rope_theta", target.RopeTheta},
		{"rope_scaling", scaling},
		{"attention_bias", d.biased},
		{"tie_word_embeddings", false},
		{"kv_lora_rank", d.KVLoraRank},
		{"q_lora_rank", qRank},
		{"qk_nope_head_dim", d.NopeDim},
		{"qk_rope_head_dim", d.RopeDim},
		{"v_head_dim", d.ValueDim},
		{"first_k_dense_replace", source.Layers}, // no layer has experts
		{"n_routed_experts", 2},                  // null and 1 break loaders
		{"num_experts_per_tok", 1},
		{"n_group", 1},
		{"topk_group", 1},
		{"n_shared_experts", 0},
		{"moe_intermediate_size", source.Intermediate},
		{"moe_layer_freq", 1},
		{"routed_scaling_factor", 1.0},
		{"scoring_func", "sigmoid"}, // converters of llama.cpp before November 2025 look for it
		{"norm_topk_prob", false},
		{"num_nextn_predict_layers", 0},
	} {
		c.Set(kv.key, kv.value)
	}
	if c.Delete(family.LatentEpsKey); d.NormEps != Eps || d.LatentEps != Eps {
		c.Set(family.LatentEpsKey, d.LatentEps)
	}
	return c
}
