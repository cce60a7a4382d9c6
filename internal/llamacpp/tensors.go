package llamacpp

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mha2mla/mha2mla/internal/gguf"
)

// architecture says how llama.cpp keeps models of one kind.
type architecture struct {
	read func(k *keys, t *tensors) *config

	// permuted says that the rows of queries and keys are ordered for pairs of neighbours,
	// where Hugging Face pairs the two halves of a head (conversion/llama.py, permute).
	permuted bool
}

// architectures lists what is read, by general.architecture.
var architectures = map[string]architecture{
	"llama":     {grouped("LlamaForCausalLM", "llama"), true},
	"qwen2":     {grouped("Qwen2ForCausalLM", "qwen2"), false},
	"qwen3":     {grouped("Qwen3ForCausalLM", "qwen3"), false},
	"deepseek2": {latent, false},
}

// outside holds the names of the tensors outside the layers: those of llama.cpp, by those of
// Hugging Face.
var outside = map[string]string{
	"model.embed_tokens.weight": "token_embd.weight",
	"model.norm.weight":         "output_norm.weight",
	"lm_head.weight":            "output.weight",
}

// inLayer holds the names of a layer's tensors, without .weight or .bias. A kv_b_proj is there
// in its two parts, see ContentKeys.
var inLayer = map[string]string{
	"input_layernorm":              "attn_norm",
	"post_attention_layernorm":     "ffn_norm",
	"self_attn.q_proj":             "attn_q",
	"self_attn.k_proj":             "attn_k",
	"self_attn.v_proj":             "attn_v",
	"self_attn.o_proj":             "attn_output",
	"self_attn.q_norm":             "attn_q_norm",
	"self_attn.k_norm":             "attn_k_norm",
	"self_attn.q_a_proj":           "attn_q_a",
	"self_attn.q_a_layernorm":      "attn_q_a_norm",
	"self_attn.q_b_proj":           "attn_q_b",
	"self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa",
	"self_attn.kv_a_layernorm":     "attn_kv_a_norm",
	ContentKeys:                    "attn_k_b",
	Values:                         "attn_v_b",
	"mlp.gate_proj":                "ffn_gate",
	"mlp.up_proj":                  "ffn_up",
	"mlp.down_proj":                "ffn_down",
	Router:                         "ffn_gate_inp",
	"mlp.shared_experts.gate_proj": "ffn_gate_shexp",
	"mlp.shared_experts.up_proj":   "ffn_up_shexp",
	"mlp.shared_experts.down_proj": "ffn_down_shexp",
	Experts + "gate_proj":          "ffn_gate_exps",
	Experts + "up_proj":            "ffn_up_exps",
	Experts + "down_proj":          "ffn_down_exps",
}

// Experts lie one after the other in one tensor. These are the names that the converter of
// llama.cpp has for it, and those of what chooses experts (conversion/deepseek.py).
const (
	Experts = "mlp.experts."
	Router  = "mlp.gate"

	routerBias       = "mlp.gate.e_score_correction_bias"
	storedRouterBias = "exp_probs_b.bias"
)

// llama.cpp splits a kv_b_proj, and transposes the part that makes keys of a latent, head by
// head, because it multiplies queries by it (conversion/deepseek.py, modify_tensors). These
// are the names that its converter has for the parts before it gives them those of the file.
const (
	ContentKeys = "self_attn.k_b_proj"
	Values      = "self_attn.v_b_proj"

	both = "self_attn.kv_b_proj"
)

// Name returns the name that llama.cpp has for a tensor of a Hugging Face checkpoint, and
// whether it has one.
func Name(name string) (string, bool) {
	if found, ok := outside[name]; ok {
		return found, true
	}
	rest, ok := strings.CutPrefix(name, "model.layers.")
	layer, rest, found := strings.Cut(rest, ".")
	end := strings.LastIndexByte(rest, '.')
	if !ok || !found || end < 0 {
		return "", false
	}
	if rest == routerBias {
		return "blk." + layer + "." + storedRouterBias, true
	}
	part, ok := inLayer[rest[:end]]
	return "blk." + layer + "." + part + rest[end:], ok
}

// original returns the name in a Hugging Face checkpoint of a tensor of llama.cpp, and the
// part of it that follows the layer; empty if there is none.
func original(name string) (full, part string) {
	for hf, stored := range outside {
		if stored == name {
			return hf, hf
		}
	}
	rest, ok := strings.CutPrefix(name, "blk.")
	layer, rest, found := strings.Cut(rest, ".")
	number, err := strconv.Atoi(layer)
	end := strings.LastIndexByte(rest, '.')
	if !ok || !found || end < 0 || err != nil || strconv.Itoa(number) != layer || number < 0 {
		return "", ""
	}
	if rest == storedRouterBias {
		return "model.layers." + layer + "." + routerBias, routerBias
	}
	for hf, stored := range inLayer {
		if stored == rest[:end] {
			return "model.layers." + layer + "." + hf + rest[end:], hf
		}
	}
	return "", ""
}

// tensors are the tensors of a file by their names, and the first error of presenting them.
type tensors struct {
	stored map[string]*gguf.Tensor
	err    error
}

// presented lists the tensors as a Hugging Face checkpoint has them, and reports whether that
// went well.
func (t *tensors) presented(arch architecture, c *config) ([]Tensor, bool) {
	names := make([]string, 0, len(t.stored))
	for name := range t.stored {
		names = append(names, name)
	}
	slices.Sort(names)
	var all []Tensor
	for _, name := range names {
		stored := t.stored[name]
		full, part := original(name)
		switch {
		case name == "rope_freqs.weight" || part == Values:
			continue // it is in the configuration, or presented with the other part
		case full == "":
			t.err = &UnsupportedError{fmt.Sprintf("tensor %q is none that a %s has", name, c.Architectures[0]), "name the checkpoint that the file was made of"}
		case part == ContentKeys:
			all = append(all, t.joined(name, c))
		case strings.HasPrefix(part, Experts):
			all = append(all, t.experts(full, stored, c)...)
		case arch.permuted && (part == "self_attn.q_proj" || part == "self_attn.k_proj"):
			all = append(all, t.halved(full, stored, c.HeadDim))
		default:
			all = append(all, Tensor{full, dtype(stored), stored.Shape, stored.Floats()})
		}
		if t.err != nil {
			return nil, false
		}
	}
	return all, true
}

// dtype returns the type in which the numbers of a tensor are given.
func dtype(t *gguf.Tensor) string {
	if t.Type.Plain() {
		return t.Type.String()
	}
	return gguf.F32.String()
}

// singles reads all numbers of a small tensor of one dimension.
func (t *tensors) singles(name string) ([]float32, error) {
	stored := t.stored[name]
	const most = 4096
	if len(stored.Shape) != 1 || stored.Shape[0] > most {
		return nil, fmt.Errorf("tensor %q has shape %v and must be a vector of at most %d", name, stored.Shape, most)
	}
	raw := make([]byte, 4*stored.Shape[0])
	if _, err := stored.Singles().ReadAt(raw, 0); err != nil && err != io.EOF {
		return nil, err
	}
	values := make([]float32, stored.Shape[0])
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return values, nil
}
