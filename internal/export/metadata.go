package export

import (
	"encoding/json"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/gguf"
	"github.com/mha2mla/mha2mla/internal/llamacpp"
)

// sizes holds those members of the configuration of a DeepSeek-V3 that become keys.
type sizes struct {
	Layers       uint32  `json:"num_hidden_layers"`
	MaxPositions uint32  `json:"max_position_embeddings"`
	Hidden       uint32  `json:"hidden_size"`
	Intermediate uint32  `json:"intermediate_size"`
	Heads        uint32  `json:"num_attention_heads"`
	RopeTheta    float32 `json:"rope_theta"`
	NormEps      float32 `json:"rms_norm_eps"`
	Experts      uint32  `json:"n_routed_experts"`
	ExpertsUsed  uint32  `json:"num_experts_per_tok"`
	Groups       uint32  `json:"n_group"`
	GroupsUsed   uint32  `json:"topk_group"`
	Shared       uint32  `json:"n_shared_experts"`
	MoE          uint32  `json:"moe_intermediate_size"`
	Scale        float32 `json:"routed_scaling_factor"`
	FirstDense   uint32  `json:"first_k_dense_replace"`
	Vocab        uint32  `json:"vocab_size"`
	QLoraRank    *uint32 `json:"q_lora_rank"`
	KVLoraRank   uint32  `json:"kv_lora_rank"`
	NopeDim      uint32  `json:"qk_nope_head_dim"`
	RopeDim      uint32  `json:"qk_rope_head_dim"`
	ValueDim     uint32  `json:"v_head_dim"`
	Scoring      string  `json:"scoring_func"`
	Renorm       bool    `json:"norm_topk_prob"`
	Scaling      *yarn   `json:"rope_scaling"`
}

// yarn holds a rope_scaling of the one type that llama.cpp reads in such a model.
type yarn struct {
	Type     string  `json:"rope_type"`
	Factor   float32 `json:"factor"`
	Original uint32  `json:"original_max_position_embeddings"`
	Fast     float32 `json:"beta_fast"`
	Slow     float32 `json:"beta_slow"`
	MScale   float64 `json:"mscale_all_dim"`
}

// arch is what llama.cpp calls the class that is written.
const arch = "deepseek2"

// quantisation is the version of the forms of blocks (GGML_QUANT_VERSION).
const quantisation = 2

// fileTypes holds what llama.cpp calls the type that most numbers of a file have
// (gguf-py/gguf/constants.py, LlamaFileType).
var fileTypes = map[checkpoint.DType]uint32{checkpoint.F32: 0, checkpoint.F16: 1, checkpoint.Q8_0: 7, checkpoint.BF16: 32}

// Metadata returns the keys of a GGUF file whose model has the given config.json, and most of
// whose numbers have the given type. General and Vocabulary make the other two parts.
func Metadata(config []byte, most checkpoint.DType, general, vocabulary gguf.Metadata) (gguf.Metadata, error) {
	var s sizes
	if err := json.Unmarshal(config, &s); err != nil {
		return nil, err
	}
	if s.Scaling != nil && s.Scaling.Type != "yarn" {
		s.Scaling = nil
	}
	m := gguf.Metadata{{Key: "general.architecture", Value: arch}, {Key: "general.type", Value: "model"}}
	m = append(m, general...)
	m = append(m, s.common()...)
	m = append(m, gguf.Pair{Key: "general.file_type", Value: fileTypes[most]})
	m = append(m, s.latent()...)
	m = append(m, gguf.Pair{Key: "general.quantization_version", Value: uint32(quantisation)})
	return append(m, vocabulary...), nil
}

// of adds a key of the architecture.
func of(m *gguf.Metadata, key string, value any) {
	*m = append(*m, gguf.Pair{Key: arch + "." + key, Value: value})
}

// common lists the keys of every model (conversion/base.py, set_gguf_parameters).
func (s *sizes) common() (m gguf.Metadata) {
	of(&m, "block_count", s.Layers)
	of(&m, "context_length", s.MaxPositions)
	of(&m, "embedding_length", s.Hidden)
	of(&m, "feed_forward_length", s.Intermediate)
	of(&m, "attention.head_count", s.Heads)
	of(&m, "attention.head_count_kv", uint32(1)) // all heads share the latent
	if r := s.Scaling; r != nil {
		of(&m, "rope.scaling.type", r.Type)
		of(&m, "rope.scaling.factor", r.Factor)
		of(&m, "rope.scaling.original_context_length", r.Original)
		of(&m, "rope.scaling.yarn_beta_fast", r.Fast)
		of(&m, "rope.scaling.yarn_beta_slow", r.Slow)
	}
	of(&m, "rope.freq_base", s.RopeTheta)
	of(&m, "attention.layer_norm_rms_epsilon", s.NormEps)
	of(&m, "expert_count", s.Experts)
	of(&m, "expert_used_count", s.ExpertsUsed)
	of(&m, "expert_group_count", s.Groups)
	of(&m, "expert_group_used_count", s.GroupsUsed)
	for number, name := range llamacpp.Scorings {
		if name == s.Scoring {
			of(&m, "expert_gating_func", number)
		}
	}
	of(&m, "attention.key_length", s.KVLoraRank+s.RopeDim)
	of(&m, "attention.value_length", s.KVLoraRank)
	return m
}

// latent lists the keys that the architecture has besides (conversion/deepseek.py,
// set_gguf_parameters). There, what is cached has the lengths of key and value, and a head has
// those that end in mla.
func (s *sizes) latent() (m gguf.Metadata) {
	of(&m, "leading_dense_block_count", s.FirstDense)
	of(&m, "vocab_size", s.Vocab)
	if r := s.QLoraRank; r != nil { // 0 says that queries are not compressed (design §6)
		of(&m, "attention.q_lora_rank", *r)
	}
	of(&m, "attention.kv_lora_rank", s.KVLoraRank)
	of(&m, "attention.key_length_mla", s.NopeDim+s.RopeDim)
	of(&m, "attention.value_length_mla", s.ValueDim)
	of(&m, "expert_feed_forward_length", s.MoE)
	of(&m, "expert_shared_count", s.Shared)
	of(&m, "expert_weights_scale", s.Scale)
	if s.Renorm {
		of(&m, "expert_weights_norm", true)
	}
	of(&m, "rope.dimension_count", s.RopeDim)
	if s.Scaling != nil {
		of(&m, "rope.scaling.yarn_log_multiplier", float32(0.1*s.Scaling.MScale))
	}
	return m
}
