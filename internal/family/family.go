package family

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Model describes a checkpoint as the canonical decoder: pre-norm, RMSNorm, a gated MLP
// and RoPE (design §8).
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
	MoE          *MoE    `json:"moe,omitempty"` // nil unless there are experts

	PerHead *PerHead `json:"mha2mla,omitempty"` // nil unless the attention has the reference's form

	Rope       *rope.Scaling `json:"rope_scaling,omitempty"`   // nil: the frequencies follow from RopeTheta alone
	Biases     bool          `json:"attention_bias,omitempty"` // projections to queries, keys and values add constants
	OutputBias bool          `json:"output_bias,omitempty"`    // o_proj adds constants, too
	HeadNorms  bool          `json:"qk_norm,omitempty"`        // each head's queries and keys pass an RMSNorm
	WideNorms  bool          `json:"qk_norm_of_all,omitempty"` // that norm is one of all heads together
	RotaryDims int           `json:"rotary_dims,omitempty"`    // R, how many dimensions of a head rotate; 0: all of them
	Still      []bool        `json:"no_rope_layers,omitempty"` // [L]: layers that do not rotate at all; nil: there are none
	Activation Activation    `json:"hidden_act,omitempty"`     // nonlinearity of the MLP; empty: silu
	Window     Window        `json:"sliding_window,omitzero"`

	Notes  []string           `json:"-"` // where the configuration was not taken at its word, for the user to read
	Config *Config            `json:"-"` // the whole configuration
	Source *checkpoint.Source `json:"-"` // the weights

	kind    string               // model_type
	part    float64              // which share of a head rotates where the configuration does not say; 0: always all
	stem    string               // begins the names of layers in the checkpoint; empty: as canonical names do
	ahead   bool                 // layers after the last one predict further tokens, and have no place in what is written
	paired  bool                 // the two parts of a rotary pair are stored as neighbours, see arrange
	folded  []string             // keys of the configuration whose meaning is in the weights
	stored  map[string]stored    // where weights are kept that are not stored under their canonical name as they are; by that name, without prefix
	weights map[string]*Weight   // by canonical name
	others  []*checkpoint.Tensor // tensors that hold no weight of the model
}

// Activation is the nonlinearity of an MLP.
type Activation string

// The program can run models with these activations. Most engines know SiLU alone in a
// DeepSeek-V3.
const (
	SiLU Activation = ""
	GELU Activation = "gelu_pytorch_tanh"
)

// Window is a sliding window: in some layers a token attends only to the last positions.
type Window struct {
	Positions int `json:"positions"`  // 0: no limit
	FromLayer int `json:"from_layer"` // the first layer that has the window; all after it do, too
}

// Of returns how many positions a token of layer n attends to; 0 if it sees all.
func (w Window) Of(n int) int {
	if n < w.FromLayer {
		return 0
	}
	return w.Positions
}

// Family returns the kind of the model, as model_type names it in its configuration.
func (m *Model) Family() string { return m.kind }

// Folded lists the keys of the configuration whose meaning is part of the weights as
// Weight returns them. A converted model must not have these keys.
func (m *Model) Folded() []string { return m.folded }

// Turning returns how many dimensions of a head rotate in the layers that do: head_dim, R of
// them where a part rotates, or qk_rope_head_dim in a model with latent attention.
func (m *Model) Turning() int {
	if m.MLA != nil {
		return m.MLA.RopeDim
	}
	return cmp.Or(m.RotaryDims, m.HeadDim)
}

// Rotates reports whether all of every head rotates, in every layer.
func (m *Model) Rotates() bool { return m.RotaryDims == 0 && !slices.Contains(m.Still, true) }

// Rotary returns the frequencies of the pairs that rotate in radians per token, scaled as the
// configuration asks (design §2), [Turning/2].
func (m *Model) Rotary() []float64 { return m.Rope.Frequencies(m.RopeTheta, m.Turning()) }

// Frequencies returns the frequencies of all rotary pairs of layer n in radians per token.
// There are head_dim/2 of them, or qk_rope_head_dim/2 in a model with latent attention. Pairs
// that do not rotate come last and have a frequency of 0.
func (m *Model) Frequencies(n int) []float64 {
	if m.MLA != nil {
		return m.Rotary()
	}
	all := make([]float64, m.HeadDim/2)
	if m.Still == nil || !m.Still[n] {
		copy(all, m.Rotary())
	}
	return all
}

// MLA holds the sizes of multi-head latent attention, which replaces the ordinary
// attention of a decoder (design §6).
type MLA struct {
	KVLoraRank int `json:"kv_lora_rank"`
	QLoraRank  int `json:"q_lora_rank,omitempty"` // 0: one projection makes the queries
	NopeDim    int `json:"qk_nope_head_dim"`
	RopeDim    int `json:"qk_rope_head_dim"`
	ValueDim   int `json:"v_head_dim"`

	// LatentEps is the ε of q_a_layernorm and kv_a_layernorm for which the weights
	// were made.
	LatentEps float64 `json:"latent_norm_eps"`
}

// CacheFloats returns the number of floats that the KV cache takes per token and layer
// (design §3).
func (m *Model) CacheFloats() int {
	switch {
	case m.MLA != nil:
		return m.MLA.KVLoraRank + m.MLA.RopeDim
	case m.PerHead != nil:
		return m.PerHead.cacheFloats(m.KVHeads)
	}
	return 2 * m.KVHeads * m.HeadDim
}

// CacheBytes returns the size of the KV cache in bytes per token, over all layers. It
// supposes that the cache has the type of the weights that project to it.
func (m *Model) CacheBytes() int64 {
	return int64(m.CacheFloats()) * int64(m.Layers) * m.floatBytes()
}

// floatBytes returns the size in bytes of a float of the KV cache, see CacheBytes.
func (m *Model) floatBytes() int64 {
	name := KProj
	switch {
	case m.MLA != nil:
		name = KVAProj
	case m.PerHead != nil:
		name = KRProj
	}
	return m.Weight(InLayer(0, name)).DType().Size()
}

// UnsupportedError says that a model is sound and cannot be converted.
type UnsupportedError struct {
	What string
	Tip  string
}

func (e *UnsupportedError) Error() string { return e.What }

// Kind says that the model cannot be converted or loaded.
func (e *UnsupportedError) Kind() fault.Kind { return fault.Unsupported }

// Hint says what to do about the error.
func (e *UnsupportedError) Hint() string { return e.Tip }

// DeepseekClass is the class that runs what is converted, but for experts that a softmax weighs
// without norming: those DeepseekV2Class runs.
const (
	DeepseekClass   = "DeepseekV3ForCausalLM"
	DeepseekV2Class = "DeepseekV2ForCausalLM"
)

// IsDeepseek reports whether a class and a model_type are those of a model that this program
// writes.
func IsDeepseek(class, kind string) bool {
	return class == DeepseekClass && kind == deepseek.Type || class == DeepseekV2Class && kind == deepseekV2.Type
}

// Deepseek names the class that runs the model once it is converted, and its model_type.
func (m *Model) Deepseek() (class, kind string) {
	if m.MoE != nil && m.MoE.Score == Softmax && !m.MoE.Renorm {
		return DeepseekV2Class, deepseekV2.Type
	}
	return DeepseekClass, deepseek.Type
}

// LatentEps is the ε that the stock class has in q_a_layernorm and kv_a_layernorm,
// whatever the configuration says.
const LatentEps = 1e-6

// LatentEpsKey is the member of a configuration that tells for which ε in q_a_layernorm
// and kv_a_layernorm the weights were made. It is written if that is not LatentEps, or
// not the ε of the other norms. No engine reads it; this program does, to run the model.
const LatentEpsKey = "latent_norm_eps"

// GGUFMark is a type of RoPE scaling that does not exist. It is written into a DeepSeek-V3
// whose weights compute what they should in GGUF files alone. The converter of llama.cpp
// warns of a type that it does not know and writes no scaling (ggml-org/llama.cpp:
// conversion/base.py). Transformers and mlx-lm stop at it, which otherwise load such a model
// without a word and compute something else (transformers 5.24.0: models/deepseek_v3; mlx-lm
// 0.32.0: models/rope_utils.py).
const GGUFMark = "llama.cpp"

// Read describes the model of a checkpoint from its configuration. A configPath that is
// not empty names another configuration to use. Read makes sure that the tensors are
// there in the shapes that the configuration promises. It reads no weight, unless the
// head is tied to the embedding and stored as well. It returns an UnsupportedError for
// a sound model that the program cannot handle, and a checkpoint.FormatError for one
// that contradicts itself.
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
	if err := m.untie(); err != nil {
		return nil, err
	}
	if err := m.bind(); err != nil || m.PerHead == nil {
		return m, err
	}
	return m, m.PerHead.rank(m)
}

// adapter reports whether the checkpoint holds LoRA weights, by the names of its tensors.
func adapter(src *checkpoint.Source) bool {
	return slices.ContainsFunc(src.Tensors(), func(t *checkpoint.Tensor) bool {
		return strings.Contains(t.Name, ".lora_A") || strings.Contains(t.Name, ".lora_B") || strings.HasPrefix(t.Name, "base_model.model.")
	})
}

// describe makes a model of a configuration. An error other than UnsupportedError says
// that the content of the configuration is wrong.
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
	family := lookup(kind)
	switch {
	case f.err != nil:
		return nil, f.err
	case name == "":
		return nil, fmt.Errorf("it names no model_type and no architectures")
	case family == nil:
		return nil, refusal(config, kind, name)
	case len(classes) > 0 && name != family.Class:
		return nil, &UnsupportedError{fmt.Sprintf("models of class %q are not supported", name), "supported: " + family.Class}
	}
	m := &Model{Architecture: name, Config: config, kind: kind}
	if err := family.read(f, m); err != nil {
		return nil, cmp.Or(f.err, err)
	}
	m.Notes = append(m.Notes, f.unknownRope(m.folded)...)
	if f.err != nil {
		return nil, f.err
	}
	m.arrange()
	return m, nil
}

// Convertible returns an error if the model has latent attention already.
func (m *Model) Convertible() error {
	if m.MLA != nil || m.PerHead != nil {
		return alreadyMLA(m.Architecture)
	}
	return nil
}

func alreadyMLA(name string) error {
	return &UnsupportedError{fmt.Sprintf("%q has latent attention already", name), "name a checkpoint with MHA, GQA or MQA"}
}
