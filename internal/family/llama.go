package family

import (
	"encoding/json"
	"errors"
	"fmt"
)

// readLlama reads the configuration of a LlamaForCausalLM.
func readLlama(f *fields, m *Model) error {
	if err := f.ropeParameters(); err != nil {
		return err
	}
	f.common(m)
	if m.Heads > 0 {
		m.HeadDim = f.integer("head_dim", max(1, m.Hidden/m.Heads))
	}
	f.check(m.HeadDim%2 == 0, "head_dim is %d and must be even: rotary dimensions come in pairs", m.HeadDim)
	if f.Has("partial_rotary_factor") && f.number("partial_rotary_factor", 1) != 1 {
		return &UnsupportedError{"partial rotary embeddings are not supported", ""}
	}
	if m.KVHeads > 0 && m.HeadDim > 0 {
		if err := f.perHead(m); err != nil {
			return err
		}
	}
	return f.refuse()
}

// ropeParameters reads rope_scaling and its newer form rope_parameters, which
// also holds rope_theta. Frequencies other than the default ones are refused.
func (f *fields) ropeParameters() error {
	for _, key := range []string{"rope_scaling", "rope_parameters"} {
		var members map[string]json.RawMessage
		ok, err := f.decode(key, "an object", &members)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		kind := "default"
		for _, name := range []string{"type", "rope_type"} {
			if text, ok := members[name]; ok && json.Unmarshal(text, &kind) != nil {
				return fmt.Errorf("%q of %q is not a string", name, key)
			}
		}
		if kind != "default" {
			return &UnsupportedError{fmt.Sprintf("RoPE scaling of type %q is not supported", kind), ""}
		}
		if theta, ok := members["rope_theta"]; ok && !f.Has("rope_theta") {
			f.Set("rope_theta", theta)
		}
	}
	return nil
}

// interleaved reports whether the rotary pairs of a DeepSeek-V3 are interleaved,
// which they are unless the configuration denies it.
func (f *fields) interleaved() (bool, error) {
	v := true
	_, err := f.decode("rope_interleave", "true or false", &v)
	return v, err
}

// readDeepseek reads the configuration of a dense DeepseekV3ForCausalLM as this
// program writes it, for running it.
func readDeepseek(f *fields, m *Model) error {
	f.common(m)
	m.MLA = &MLA{
		KVLoraRank: f.integer("kv_lora_rank", 0),
		NopeDim:    f.integer("qk_nope_head_dim", 0),
		RopeDim:    f.integer("qk_rope_head_dim", 0),
		ValueDim:   f.integer("v_head_dim", 0),
		LatentEps:  f.number(LatentEpsKey, LatentEps),
	}
	if f.Has("q_lora_rank") {
		m.MLA.QLoraRank = f.integer("q_lora_rank", 0)
	}
	m.HeadDim = m.MLA.NopeDim + m.MLA.RopeDim
	f.check(m.MLA.RopeDim%2 == 0, "%q is %d and must be even", "qk_rope_head_dim", m.MLA.RopeDim)
	if dense := f.integer("first_k_dense_replace", 3); dense < m.Layers {
		return &UnsupportedError{"a DeepSeek-V3 with experts cannot be run", "it is what this program converts to, without experts"}
	}
	if interleaved, err := f.interleaved(); err != nil || !interleaved {
		return errors.Join(err, &UnsupportedError{`a DeepSeek-V3 with "rope_interleave": false cannot be run`, "engines disagree on it; leave the key out"})
	}
	if f.Has("rope_scaling") {
		return &UnsupportedError{"a DeepSeek-V3 with scaled RoPE cannot be run", ""}
	}
	return f.refuse()
}
