package llamacpp

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// config holds the members of the config.json that a file was made with, as far as its keys
// tell.
type config struct {
	Architectures   []string `json:"architectures"`
	ModelType       string   `json:"model_type"`
	Hidden          int64    `json:"hidden_size"`
	Intermediate    int64    `json:"intermediate_size"`
	Layers          int64    `json:"num_hidden_layers"`
	Heads           int64    `json:"num_attention_heads"`
	KVHeads         int64    `json:"num_key_value_heads"`
	HeadDim         int64    `json:"head_dim,omitempty"`
	Vocab           int64    `json:"vocab_size"`
	MaxPositions    int64    `json:"max_position_embeddings"`
	Activation      string   `json:"hidden_act"`
	NormEps         float64  `json:"rms_norm_eps"`
	RopeTheta       float64  `json:"rope_theta"`
	RopeScaling     any      `json:"rope_scaling"`
	AttentionBias   bool     `json:"attention_bias"`
	Tied            bool     `json:"tie_word_embeddings"`
	BOS             *uint64  `json:"bos_token_id,omitempty"`
	EOS             *uint64  `json:"eos_token_id,omitempty"`
	PAD             *uint64  `json:"pad_token_id,omitempty"`
	TorchDType      string   `json:"torch_dtype"`
	*deepseekConfig          // nil unless the attention is latent
}

// deepseekConfig holds the members that a DeepSeek-V3 has besides.
type deepseekConfig struct {
	KVLoraRank     int64   `json:"kv_lora_rank"`
	QLoraRank      *int64  `json:"q_lora_rank"`
	NopeDim        int64   `json:"qk_nope_head_dim"`
	RopeDim        int64   `json:"qk_rope_head_dim"`
	ValueDim       int64   `json:"v_head_dim"`
	LatentEps      float64 `json:"latent_norm_eps"`
	FirstDense     int64   `json:"first_k_dense_replace"`
	Experts        int64   `json:"n_routed_experts"`
	ExpertsUsed    int64   `json:"num_experts_per_tok"`
	Groups         int64   `json:"n_group"`
	GroupsUsed     int64   `json:"topk_group"`
	Shared         int64   `json:"n_shared_experts"`
	MoE            int64   `json:"moe_intermediate_size"`
	LayerFrequency int64   `json:"moe_layer_freq"`
	Scale          float64 `json:"routed_scaling_factor"`
	Scoring        string  `json:"scoring_func"`
	NormTopK       bool    `json:"norm_topk_prob"`
	TopKMethod     string  `json:"topk_method"`
}

// encode returns the text of the configuration.
func (c *config) encode() ([]byte, error) {
	text, err := json.MarshalIndent(c, "", "  ")
	return append(text, '\n'), err
}

// common reads the keys that every architecture has.
func common(k *keys, t *tensors, class, kind string) *config {
	c := &config{
		Architectures: []string{class}, ModelType: kind, Activation: "silu", TorchDType: "float32",
		Layers: k.integer("block_count", -1), MaxPositions: k.integer("context_length", -1),
		Hidden: k.integer("embedding_length", -1), Intermediate: k.integer("feed_forward_length", -1),
		Heads: k.integer("attention.head_count", -1), NormEps: k.number("attention.layer_norm_rms_epsilon", 0),
		RopeTheta: k.number("rope.freq_base", 10000), Tied: t.stored["output.weight"] == nil,
	}
	c.KVHeads = k.integer("attention.head_count_kv", c.Heads)
	if e := t.stored["token_embd.weight"]; e != nil {
		c.Vocab = e.Shape[0]
	}
	for _, id := range []struct {
		key  string
		into **uint64
	}{{"bos", &c.BOS}, {"eos", &c.EOS}, {"padding", &c.PAD}} {
		v, there, err := k.Uint("tokenizer.ggml." + id.key + "_token_id")
		if v, there = keep(k, v, there, err); there {
			*id.into = &v
		}
	}
	switch {
	case k.err != nil:
	case c.Heads == 0 || c.Layers > mostLayers:
		k.err = fmt.Errorf("%d heads and %d layers are no sizes of a model", c.Heads, c.Layers)
	case c.NormEps == 0:
		k.err = fmt.Errorf("key %q is missing", k.of("attention.layer_norm_rms_epsilon"))
	case k.integer("expert_count", 0) > 0 && kind != "deepseek_v3":
		k.err = &UnsupportedError{"models with experts are not supported", "choose a dense model"}
	case k.integer("attention.sliding_window", 0) > 0:
		k.err = &UnsupportedError{"a GGUF file with a sliding window is not supported: it does not say in which layers", "name the checkpoint that the file was made of"}
	}
	return c
}

// mostLayers is more layers than any model has.
const mostLayers = 1 << 16

// grouped reads what the architectures with MHA, GQA or MQA have.
func grouped(class, kind string) func(k *keys, t *tensors) *config {
	return func(k *keys, t *tensors) *config {
		c := common(k, t, class, kind)
		if k.err != nil {
			return c
		}
		c.HeadDim = k.integer("attention.key_length", c.Hidden/c.Heads)
		if turned := k.integer("rope.dimension_count", c.HeadDim); turned != c.HeadDim || k.integer("attention.value_length", c.HeadDim) != c.HeadDim {
			k.err = &UnsupportedError{fmt.Sprintf("heads of %d dimensions of which %d rotate, or values of other sizes, are not supported", c.HeadDim, turned), "choose a model that rotates all of a head"}
		}
		c.AttentionBias = t.stored["blk.0.attn_q.bias"] != nil
		c.RopeScaling = scaling(k, t)
		return c
	}
}

// latent reads what the architecture with latent attention has. In llama.cpp all heads share
// one key there, the latent itself, so that its number of KV heads is 1.
func latent(k *keys, t *tensors) *config {
	c := common(k, t, "DeepseekV3ForCausalLM", "deepseek_v3")
	d := &deepseekConfig{
		KVLoraRank: k.integer("attention.kv_lora_rank", -1), RopeDim: k.integer("rope.dimension_count", -1),
		ValueDim: k.integer("attention.value_length_mla", -1), LatentEps: c.NormEps,
		FirstDense: k.integer("leading_dense_block_count", 0), Experts: k.integer("expert_count", 0),
		ExpertsUsed: k.integer("expert_used_count", 0), Groups: k.integer("expert_group_count", 1), GroupsUsed: k.integer("expert_group_used_count", 1),
		Shared: k.integer("expert_shared_count", 0), MoE: k.integer("expert_feed_forward_length", c.Intermediate),
		LayerFrequency: 1, Scale: k.number("expert_weights_scale", 1), Scoring: k.scoring(), TopKMethod: "greedy",
	}
	norm, there, err := k.Bool(k.of("expert_weights_norm"))
	d.NormTopK, _ = keep(k, norm, there, err)
	if t.stored[fmt.Sprintf("blk.%d.%s", d.FirstDense, storedRouterBias)] != nil {
		d.TopKMethod = "noaux_tc"
	}
	d.NopeDim = k.integer("attention.key_length_mla", -1) - d.RopeDim
	rank, there, err := k.Uint(k.of("attention.q_lora_rank"))
	if rank, there = keep(k, rank, there, err); there {
		rank := int64(rank)
		d.QLoraRank = &rank // 0 says that queries are not compressed
	}
	if k.err == nil && (d.NopeDim <= 0 || d.ValueDim <= 0 || d.KVLoraRank <= 0) {
		k.err = fmt.Errorf("heads of %d dimensions that do not rotate and %d of values, on a latent of %d", d.NopeDim, d.ValueDim, d.KVLoraRank)
	}
	c.deepseekConfig, c.KVHeads, c.RopeScaling = d, c.Heads, scaling(k, t)
	return c
}

// Scorings names the functions that make scores of a router's logits, by their numbers
// (gguf-py/gguf/constants.py of llama.cpp, ExpertGatingFuncType).
var Scorings = map[uint32]string{1: "softmax", 2: "sigmoid"}

// scoring reads the function that makes scores of a router's logits: where nothing is said,
// llama.cpp takes a softmax.
func (k *keys) scoring() string {
	number := k.integer("expert_gating_func", 1)
	name := Scorings[uint32(number)]
	if name == "" && k.err == nil {
		k.err = &UnsupportedError{fmt.Sprintf("experts that are chosen by function %d are not supported", number), "choose a model whose router is a softmax or a sigmoid"}
	}
	return name
}

// scaling reads the scaling of RoPE, as the rope_scaling of a config.json; nil if there is
// none.
func scaling(k *keys, t *tensors) any {
	original := k.integer("rope.scaling.original_context_length", 0)
	factor := k.number("rope.scaling.factor", 1)
	if factors := t.stored["rope_freqs.weight"]; factors != nil {
		found, err := llama3(k, t)
		_, _ = keep(k, 0, false, err)
		return found
	}
	switch kind := k.text(k.of("rope.scaling.type")); kind {
	case "", "none":
		return nil
	case "linear":
		return map[string]any{"rope_type": kind, "type": kind, "factor": factor}
	case "yarn":
		s := map[string]any{"rope_type": kind, "type": kind, "factor": factor, "original_max_position_embeddings": original}
		for key, member := range map[string]string{"yarn_beta_fast": "beta_fast", "yarn_beta_slow": "beta_slow", "yarn_attn_factor": "attention_factor"} {
			if v := k.number("rope.scaling."+key, 0); v != 0 {
				s[member] = v
			}
		}
		// The converter writes a tenth of mscale_all_dim (conversion/deepseek.py).
		if v := k.number("rope.scaling.yarn_log_multiplier", 0); v != 0 {
			s["mscale"], s["mscale_all_dim"] = math.Round(v*1e7)/1e6, math.Round(v*1e7)/1e6
		}
		return s
	default:
		k.err = &UnsupportedError{fmt.Sprintf("RoPE scaled by %q is not supported", kind), "name the checkpoint that the file was made of"}
		return nil
	}
}

// llama3 finds the scaling of Llama 3.1 and later of which the converter has made a table of
// factors (conversion/llama.py, generate_extra_tensors). All published models have the same
// three numbers but for the factor, which is the largest of the table. What does not follow
// from them is refused.
func llama3(k *keys, t *tensors) (any, error) {
	const low, high, original = 1.0, 4.0, 8192
	factors, err := t.singles("rope_freqs.weight")
	if err != nil {
		return nil, err
	}
	factor, base := float64(slices.Max(factors)), k.number("rope.freq_base", 10000)
	for i, have := range factors {
		wavelength := 2 * math.Pi * math.Pow(base, float64(i)/float64(len(factors)))
		want := 1.0
		switch {
		case wavelength < original/high:
		case wavelength > original/low:
			want = factor
		default:
			smooth := (original/wavelength - low) / (high - low)
			want = 1 / ((1-smooth)/factor + smooth)
		}
		if math.Abs(float64(have)/want-1) > 1e-4 {
			return nil, &UnsupportedError{fmt.Sprintf("the table of RoPE factors is not that of a Llama 3 (pair %d has %v)", i, have), "name the checkpoint that the file was made of"}
		}
	}
	return map[string]any{"rope_type": "llama3", "factor": factor, "low_freq_factor": low, "high_freq_factor": high, "original_max_position_embeddings": original}, nil
}
