package family

import "errors"

// interleaved reports whether the rotary pairs of a DeepSeek-V3 are interleaved,
// which they are unless the configuration denies it.
func (f *fields) interleaved() (bool, error) {
	v := true
	_, err := f.decode("rope_interleave", "true or false", &v)
	return v, err
}

// deepseek is what this program converts to: a dense DeepseekV3ForCausalLM.
var deepseek = Family{
	Type: "deepseek_v3", Class: DeepseekClass,
	Models: "what mha2mla writes, to be run by verify",
	How:    "has latent attention already",
	read:   readDeepseek,
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
	m.Biases = f.boolean("attention_bias")
	if f.word("hidden_act", "silu") == string(GELU) {
		m.Activation = GELU
		return nil
	}
	return f.silu()
}
