package layout

import (
	"cmp"
	"slices"

	"github.com/mha2mla/mha2mla/internal/family"
)

// foreignKeys are removed. They mean nothing in the source's class, but an engine that reads
// a DeepSeek-V3, or that looks for them whatever the class is, would take them for other
// rotary pairs, sparse attention, experts or the lack of a causal mask.
var foreignKeys = []string{
	"rope_interleave", "rope_interleaved", "qk_head_dim", "index_topk", "index_n_heads", "index_head_dim", "topk_method", "ep_size",
	"num_experts", "num_local_experts", "n_experts", "moe_topk", "dual_chunk_attention_config", "attention_chunk_size",
	"is_causal", "use_bidirectional_attention", "attn_logit_softcapping", "final_logit_softcapping", "quantization", "compression_config",
}

// Configure turns the configuration of the source into that of the target, key by key as
// design §6 lists them.
func (d *Deepseek) Configure(source, target *family.Model) *family.Config {
	c := source.Config.Clone()
	// The stock class crashes on head_dim. The others describe parts that the target lacks.
	c.Delete("head_dim", "auto_map", "quantization_config", "rope_parameters", "partial_rotary_factor", "original_max_position_embeddings",
		"sliding_window", "use_sliding_window", "max_window_layers", "layer_types", "bias", "mlp_bias")
	c.Delete(foreignKeys...)
	c.Delete(source.Folded()...)
	var qRank, scaling any
	if d.QLoraRank > 0 || d.gguf {
		qRank = d.QLoraRank
	}
	switch s := d.maths.RopeScaling; {
	case s != nil:
		scaling = family.YarnMembers(s)
	case d.gguf:
		scaling = map[string]any{"type": family.GGUFMark, "rope_type": family.GGUFMark}
	}
	class, kind := source.Deepseek()
	for _, kv := range slices.Concat([]member{
		{"architectures", []string{class}},
		{"model_type", kind},
		{"num_key_value_heads", source.Heads},
		{"vocab_size", source.Vocab},
		{"max_position_embeddings", source.MaxPositions},
		{"hidden_act", cmp.Or(source.Activation, "silu")},
		{"rms_norm_eps", d.NormEps},
		{"rope_theta", target.RopeTheta},
		{"rope_scaling", scaling},
		{"attention_bias", d.biased},
		{"tie_word_embeddings", d.tied},
		{"kv_lora_rank", d.KVLoraRank},
		{"q_lora_rank", qRank},
		{"qk_nope_head_dim", d.NopeDim},
		{"qk_rope_head_dim", d.RopeDim},
		{"v_head_dim", d.ValueDim},
	}, d.experts(source, target), []member{{"num_nextn_predict_layers", 0}}) {
		c.Set(kv.key, kv.value)
	}
	c.Delete(family.LatentEpsKey)
	if d.NormEps != Eps || d.LatentEps != Eps {
		c.Set(family.LatentEpsKey, d.LatentEps)
	}
	return c
}

// member is a member of a configuration.
type member struct {
	key   string
	value any
}

// experts lists what the configuration says of experts. Engines look at some of it in a model
// without any, where null and 1 break loaders.
func (d *Deepseek) experts(source, target *family.Model) []member {
	e := target.MoE
	if e == nil {
		return []member{
			{"first_k_dense_replace", source.Layers}, // no layer has experts
			{"n_routed_experts", 2},
			{"num_experts_per_tok", 1},
			{"n_group", 1},
			{"topk_group", 1},
			{"n_shared_experts", 0},
			{"moe_intermediate_size", source.Intermediate},
			{"moe_layer_freq", 1},
			{"routed_scaling_factor", 1.0},
			{"scoring_func", "sigmoid"}, // converters of llama.cpp before November 2025 look for it
			{"norm_topk_prob", false},
		}
	}
	return []member{
		{"first_k_dense_replace", e.First},
		{"n_routed_experts", e.Experts},
		{"num_experts_per_tok", e.Chosen},
		{"n_group", 1},
		{"topk_group", 1},
		{"topk_method", family.TopKMethod(e.Bias)}, // the bias is looked for with its method alone
		{"n_shared_experts", e.Shared / e.Width},
		{"intermediate_size", source.Intermediate},
		{"moe_intermediate_size", e.Width},
		{"moe_layer_freq", 1},
		{"routed_scaling_factor", e.Scale},
		{"scoring_func", e.Score},
		{"norm_topk_prob", e.Renorm},
		{"moe_router_dtype", "float32"}, // vLLM would round the router's logits
	}
}
