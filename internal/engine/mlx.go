package engine

import (
	"fmt"
	"strings"

	"github.com/mha2mla/mha2mla/internal/option"
)

// The rules of this file are those of mlx-lm alone. They were read in version 0.32.0, in
// models/deepseek_v3.py and utils.py.

// dropped begins the names of all tensors that mlx-lm leaves out: it takes the layer behind
// DeepSeek-V3's last one for its prediction of further tokens, in a DeepSeek-V3 of any size.
const dropped = "model.layers.61"

// lastLayer complains of a model with more layers than DeepSeek-V3 has.
func lastLayer(s *subject, _ Engine) (string, option.Text) {
	if s.model.Layers <= 61 || s.second() {
		return "", nothing
	}
	return fmt.Sprintf("it leaves out every tensor whose name begins with %s, of %d layers", dropped, s.model.Layers), nothing
}

// beyondLast complains of the first tensor in a layer that the configuration does not have.
func beyondLast(s *subject, _ Engine) (string, option.Text) {
	for _, name := range s.names {
		n, rest, inLayer := layerOf(name)
		if inLayer && n >= s.model.Layers && rest != "self_attn.rotary_emb.inv_freq" && !strings.HasPrefix(name, dropped) && !isBias(name) {
			return fmt.Sprintf("tensor %q is of a layer beyond num_hidden_layers, at which it stops", name), option.Plain("remove the tensor")
		}
	}
	return "", nothing
}

// mlxGroup is how many values mlx-lm quantises together unless it is told otherwise.
const mlxGroup = 64

// groups complains of the first width that mlx-lm does not quantise, because a group does not
// divide it. It splits kv_b_proj into the content keys and the values of each head.
func groups(s *subject, _ Engine) (string, option.Text) {
	m := s.model.MLA
	for _, width := range []struct {
		key string
		n   int
	}{
		{"hidden_size", s.model.Hidden}, {"intermediate_size", s.model.Intermediate}, {"q_lora_rank", m.QLoraRank},
		{"qk_nope_head_dim", m.NopeDim}, {"kv_lora_rank", m.KVLoraRank}, {"num_attention_heads × v_head_dim", s.model.Heads * m.ValueDim},
	} {
		if width.n%mlxGroup != 0 {
			return fmt.Sprintf("quantised, it leaves what has the width %s, %d, as it is: groups of %d do not divide it", width.key, width.n, mlxGroup), option.Plain("quantise in groups of 32 if that divides it")
		}
	}
	return "", nothing
}
