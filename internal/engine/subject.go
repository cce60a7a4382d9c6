package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
)

// subject is a checkpoint that the rules judge, with its configuration decoded as far as
// rules look at it.
type subject struct {
	*Artifact
	class   string // the class that the configuration names first
	kind    string // model_type
	perHead bool   // the attention has the reference's form
	model   family.Model
	experts int                        // first layer that has experts
	tensor  map[string]checkpoint.Spec // by name
	names   []string                   // names of the tensors, sorted
	wrong   string                     // what is wrong with the sizes; empty if all are there
}

// mostSize is the largest size that a configuration may state, so that the product of three
// sizes still fits an int64.
const mostSize = 1 << 21

// read decodes a. It returns no error: the rules complain of what cannot be decoded.
func read(a *Artifact) *subject {
	s := &subject{Artifact: a, tensor: make(map[string]checkpoint.Spec, len(a.Tensors))}
	for _, t := range a.Tensors {
		s.tensor[t.Name] = t
	}
	s.names = slices.Sorted(maps.Keys(s.tensor))
	var classes []string
	s.decode("architectures", &classes)
	if len(classes) > 0 {
		s.class = classes[0]
	}
	s.decode("model_type", &s.kind)
	s.perHead = a.Config.Has(family.PerHeadKey)
	m := &s.model
	m.MLA = &family.MLA{}
	for _, size := range []struct {
		key   string
		into  *int
		least int
	}{
		{"hidden_size", &m.Hidden, 1}, {"intermediate_size", &m.Intermediate, 1}, {"num_hidden_layers", &m.Layers, 1},
		{"num_attention_heads", &m.Heads, 1}, {"num_key_value_heads", &m.KVHeads, 1}, {"vocab_size", &m.Vocab, 1},
		{"kv_lora_rank", &m.MLA.KVLoraRank, 1}, {"qk_nope_head_dim", &m.MLA.NopeDim, 0}, {"qk_rope_head_dim", &m.MLA.RopeDim, 1},
		{"v_head_dim", &m.MLA.ValueDim, 1}, {"first_k_dense_replace", &s.experts, 0},
	} {
		err := s.decode(size.key, size.into)
		switch {
		case s.wrong != "":
		case size.into == &m.KVHeads && s.named(size.key) && !s.has(size.key):
			m.KVHeads = m.Heads // all engines read null there as this
		case err != nil:
			s.wrong = fmt.Sprintf("%q is no integer", size.key)
		case !s.has(size.key):
			s.wrong = fmt.Sprintf("%q is missing, and the size of DeepSeek-V3 itself is taken for it", size.key)
		case *size.into < size.least || *size.into > mostSize:
			s.wrong = fmt.Sprintf("%q is %d", size.key, *size.into)
		}
	}
	err := s.decode("q_lora_rank", &m.MLA.QLoraRank)
	if s.wrong == "" && (err != nil || m.MLA.QLoraRank < 0 || m.MLA.QLoraRank > mostSize) {
		s.wrong = fmt.Sprintf("%q is neither null nor a size", "q_lora_rank")
	}
	m.HeadDim = m.MLA.NopeDim + m.MLA.RopeDim
	m.NormEps = family.LatentEps
	s.decode("rms_norm_eps", &m.NormEps)
	s.decode("tie_word_embeddings", &m.TiedHead)
	return s
}

// decode unmarshals the value of a key, if it has one other than null.
func (s *subject) decode(key string, into any) error {
	if !s.has(key) {
		return nil
	}
	text, _ := s.Config.Text(key)
	return json.Unmarshal(text, into)
}

// has reports whether a key has a value other than null.
func (s *subject) has(key string) bool { return s.Config.Has(key) }

// named reports whether a key is there, with null or any other value.
func (s *subject) named(key string) bool {
	_, ok := s.Config.Text(key)
	return ok
}

// bool returns the truth value of a key, and preset if the key has none.
func (s *subject) bool(key string, preset bool) bool {
	v := preset
	s.decode(key, &v) //nolint:errcheck // another kind of value counts as none
	return v
}

// text returns the string at a key; empty if the key has none.
func (s *subject) text(key string) string {
	var v string
	s.decode(key, &v) //nolint:errcheck // another kind of value counts as none
	return v
}

// ropeType returns the kind of RoPE scaling that the configuration asks for, and the key
// where it does. Both are empty if it asks for none.
func (s *subject) ropeType() (kind, key string) {
	for _, key := range []string{"rope_scaling", "rope_parameters"} {
		var members map[string]any
		if s.decode(key, &members) != nil || members == nil {
			continue
		}
		for _, name := range []string{"rope_type", "type"} {
			if kind, ok := members[name].(string); ok {
				return kind, key
			}
		}
	}
	return "", ""
}

// yarn returns the members of a RoPE scaling of type yarn. It returns nil if the scaling is
// of another type, or if the members cannot be decoded.
func (s *subject) yarn() *yarn {
	kind, key := s.ropeType()
	y := new(yarn)
	if kind != "yarn" || s.decode(key, y) != nil {
		return nil
	}
	return y
}

// positions returns max_position_embeddings; 0 if that is no number.
func (s *subject) positions() (n float64) {
	s.decode("max_position_embeddings", &n) //nolint:errcheck // another kind of value counts as none
	return n
}

// dense reports whether layer n has no experts.
func (s *subject) dense(n int) bool { return n < s.experts }

// layerOf returns the number of the layer that a tensor belongs to, and the rest of its
// name. It returns false for a tensor outside the layers.
func layerOf(name string) (n int, rest string, ok bool) {
	after, ok := strings.CutPrefix(name, "model.layers.")
	if !ok {
		return 0, "", false
	}
	number, rest, ok := strings.Cut(after, ".")
	n, err := strconv.Atoi(number)
	return n, rest, ok && err == nil && n >= 0
}
