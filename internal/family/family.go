// Package family turns a checkpoint's configuration and tensor names into one
// canonical description of a decoder: pre-norm, RMSNorm, SwiGLU, RoPE
// (design §8). What it cannot describe it refuses by name.
package family

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// Model describes a decoder.
type Model struct {
	Architecture string  `json:"architecture"`
	Hidden       int     `json:"hidden_size"`
	Intermediate int     `json:"intermediate_size"`
	Layers       int     `json:"num_hidden_layers"`
	Heads        int     `json:"num_attention_heads"`
	KVHeads      int     `json:"num_key_value_heads"`
	HeadDim      int     `json:"head_dim"`
	Vocab        int     `json:"vocab_size"`
	MaxPositions int     `json:"max_position_embeddings"`
	NormEps      float64 `json:"rms_norm_eps"`
	RopeTheta    float64 `json:"rope_theta"`
	TiedHead     bool    `json:"tie_word_embeddings"`
	MLA          *MLA    `json:"mla,omitempty"` // nil for MHA, GQA and MQA

	PerHead *PerHead `json:"mha2mla,omitempty"` // nil but for the reference's form

	Config *Config            `json:"-"` // the whole configuration
	Source *checkpoint.Source `json:"-"` // the weights
}

// MLA is what multi-head latent attention adds to a decoder.
type MLA struct {
	KVLoraRank int `json:"kv_lora_rank"`
	QLoraRank  int `json:"q_lora_rank,omitempty"` // 0: the query is not compressed
	NopeDim    int `json:"qk_nope_head_dim"`
	RopeDim    int `json:"qk_rope_head_dim"`
	ValueDim   int `json:"v_head_dim"`

	// LatentEps is the ε of q_a_layernorm and kv_a_layernorm that the weights are
	// made for.
	LatentEps float64 `json:"latent_norm_eps"`
}

// CacheFloats is the number of floats the KV cache takes per token and layer.
func (m *Model) CacheFloats() int {
	switch {
	case m.MLA != nil:
		return m.MLA.KVLoraRank + m.MLA.RopeDim
	case m.PerHead != nil:
		return m.PerHead.cacheFloats(m.KVHeads)
	}
	return 2 * m.KVHeads * m.HeadDim
}

// CacheBytes is the size of the KV cache per token over all layers, in the type
// of the weights that fill it.
func (m *Model) CacheBytes() int64 {
	name := KProj
	switch {
	case m.MLA != nil:
		name = KVAProj
	case m.PerHead != nil:
		name = KRProj
	}
	return int64(m.CacheFloats()) * int64(m.Layers) * m.Source.Lookup(InLayer(0, name)).DType.Size()
}

// UnsupportedError says that a model is sound and cannot be converted.
type UnsupportedError struct {
	What string
	Tip  string
}

func (e *UnsupportedError) Error() string { return e.What }

// Hint says what to do about the error.
func (e *UnsupportedError) Hint() string { return e.Tip }

// readers maps model_type to the reader of that family's configuration.
var readers = map[string]func(*fields, *Model) error{
	"llama":       readLlama,
	"deepseek_v3": readDeepseek,
}

// DeepseekClass is the class that runs what is converted.
const DeepseekClass = "DeepseekV3ForCausalLM"

// LatentEps is the eps that the stock class has in q_a_layernorm and
// kv_a_layernorm whatever the configuration says.
const LatentEps = 1e-6

// LatentEpsKey is the member of a configuration that says for which ε there the
// weights are made, if it is another, or another than that of the other norms. No
// engine reads it.
const LatentEpsKey = "latent_norm_eps"

// classOf maps model_type to the class that runs such a model.
var classOf = map[string]string{"llama": "LlamaForCausalLM", "deepseek_v3": DeepseekClass}

// Read describes the model of a checkpoint from its configuration, which
// configPath overrides if not empty, and makes sure that its tensors are there
// in the shapes the configuration promises. No weight is read.
func Read(src *checkpoint.Source, configPath string) (*Model, error) {
	if adapter(src) {
		return nil, &UnsupportedError{fmt.Sprintf("%q is a LoRA adapter, not a model", src.Path), "merge it into its base model first"}
	}
	text, from, err := src.Config(configPath)
	if err != nil {
		return nil, err
	}
	config, err := ParseConfig(text)
	if err != nil {
		return nil, &checkpoint.FormatError{Path: from, What: err.Error()}
	}
	if err := quantised(config, src); err != nil {
		return nil, err
	}
	m, err := describe(config)
	if _, ok := err.(*UnsupportedError); ok {
		return nil, err
	}
	if err != nil {
		return nil, &checkpoint.FormatError{Path: from, What: err.Error()}
	}
	m.Source = src
	if err := m.bind(); err != nil || m.PerHead == nil {
		return m, err
	}
	return m, m.PerHead.rank(m)
}

// adapter recognises LoRA weights by their tensors.
func adapter(src *checkpoint.Source) bool {
	return slices.ContainsFunc(src.Tensors(), func(t *checkpoint.Tensor) bool {
		return strings.Contains(t.Name, ".lora_A") || strings.Contains(t.Name, ".lora_B") || strings.HasPrefix(t.Name, "base_model.model.")
	})
}

// describe reads a configuration. An error other than UnsupportedError is about
// its content.
func describe(config *Config) (*Model, error) {
	f := &fields{Config: config}
	kind := f.word("model_type", "")
	var classes []string
	if _, err := config.decode("architectures", "a list of strings", &classes); err != nil {
		return nil, err
	}
	name := kind
	if len(classes) > 0 {
		name = classes[0]
	}
	read := readers[kind]
	switch {
	case f.err != nil:
		return nil, f.err
	case name == "":
		return nil, fmt.Errorf("it names no model_type and no architectures")
	case read == nil && config.Has("kv_lora_rank"):
		return nil, alreadyMLA(name)
	case read == nil:
		return nil, &UnsupportedError{fmt.Sprintf("models of type %q (%q) are not supported", kind, name), "supported: Llama"}
	case len(classes) > 0 && name != classOf[kind]:
		return nil, &UnsupportedError{fmt.Sprintf("models of class %q are not supported", name), "supported: " + classOf[kind]}
	}
	m := &Model{Architecture: name, Config: config}
	if err := read(f, m); err != nil {
		return nil, err
	}
	return m, f.err
}

// Convertible is an error if the model has latent attention already.
func (m *Model) Convertible() error {
	if m.MLA != nil || m.PerHead != nil {
		return alreadyMLA(m.Architecture)
	}
	return nil
}

func alreadyMLA(name string) error {
	return &UnsupportedError{fmt.Sprintf("%q has latent attention already", name), "name a checkpoint with MHA, GQA or MQA"}
}

// common reads what every family has.
func (f *fields) common(m *Model) {
	m.Hidden = f.integer("hidden_size", 0)
	m.Intermediate = f.integer("intermediate_size", 0)
	m.Layers = f.integer("num_hidden_layers", 0)
	m.Heads = f.integer("num_attention_heads", 0)
	m.KVHeads = f.integer("num_key_value_heads", m.Heads)
	m.Vocab = f.integer("vocab_size", 0)
	m.MaxPositions = f.integer("max_position_embeddings", 2048)
	m.NormEps = f.number("rms_norm_eps", 1e-6)
	m.RopeTheta = f.number("rope_theta", 10000)
	m.TiedHead = f.boolean("tie_word_embeddings")
	f.check(m.RopeTheta > 1, "%q is %v and must be above 1", "rope_theta", m.RopeTheta)
	if m.KVHeads > 0 {
		f.check(m.Heads%m.KVHeads == 0, "%q is %d, which does not divide the %d attention heads", "num_key_value_heads", m.KVHeads, m.Heads)
	}
}

// refuse returns the first unsupported feature that a configuration asks for.
func (f *fields) refuse() error {
	if act := f.word("hidden_act", "silu"); act != "silu" {
		return &UnsupportedError{fmt.Sprintf("hidden_act %q is not supported", act), "the target architecture has silu alone"}
	}
	for _, key := range []string{"attention_bias", "mlp_bias"} {
		if f.boolean(key) {
			return &UnsupportedError{fmt.Sprintf("%q is true: biases are not supported", key), ""}
		}
	}
	return nil
}
