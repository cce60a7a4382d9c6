package family

import (
	"errors"

	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// interleaved reports whether the rotary pairs of a DeepSeek-V3 are interleaved. The
// class takes them for interleaved unless the configuration says otherwise.
func (f *fields) interleaved() (bool, error) {
	v := true
	_, err := f.decode("rope_interleave", "true or false", &v)
	return v, err
}

// deepseek is the form that this program converts to: a dense DeepseekV3ForCausalLM.
var deepseek = Family{
	Type: "deepseek_v3", Class: DeepseekClass,
	Models: "what mha2mla writes, to be run by verify",
	How:    option.Plain("has latent attention already"),
	read:   readDeepseek,
}

// readDeepseek reads the configuration of a dense DeepseekV3ForCausalLM as this program
// writes it (design §6), so that the program can run what it wrote.
func readDeepseek(f *fields, m *Model) error {
	scaling, err := f.ropeParameters()
	if err != nil {
		return err
	}
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
	if err := f.scaleLatent(m, scaling); err != nil {
		return err
	}
	m.Biases = f.boolean("attention_bias")
	if f.word("hidden_act", "silu") == string(GELU) {
		m.Activation = GELU
		return nil
	}
	return f.silu()
}

// YarnMembers returns the rope_scaling of a DeepSeek-V3 whose rotary key is scaled by s,
// which must be of type yarn. It names the type twice, because older engines look for
// it under its older name. Engines disagree on what mscale and mscale_all_dim mean
// where they differ; where they are equal, all engines multiply the scores of attention
// by the square of s.Attention.
func YarnMembers(s *rope.Scaling) map[string]any {
	return map[string]any{
		"type": s.Kind, "rope_type": s.Kind, "factor": s.Factor, "original_max_position_embeddings": s.Original,
		"beta_fast": s.High, "beta_slow": s.Low, "mscale": 1.0, "mscale_all_dim": 1.0,
	}
}

// scaleLatent gives a DeepSeek-V3 the frequencies that its rope_scaling asks for; p is
// nil if it has none. The mark of a model for GGUF files scales nothing.
func (f *fields) scaleLatent(m *Model, p *ropeMembers) error {
	if p == nil || p.Kind == GGUFMark {
		return nil
	}
	if p.Kind != "yarn" || p.Attention != 0 || p.MScale == 0 || p.MScale != p.MScaleAll {
		return &UnsupportedError{"a DeepSeek-V3 with RoPE scaled other than by yarn of equal mscale and mscale_all_dim cannot be run", "engines disagree on what it means"}
	}
	f.yarn(m, p)
	query := QProj
	if m.MLA.QLoraRank > 0 {
		query = QBProj
	}
	m.Rope.Attention = p.mscale(p.MScaleAll)
	m.multiply(query, m.Rope.Attention*m.Rope.Attention)
	return nil
}
