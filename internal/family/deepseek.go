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

// deepseek and deepseekV2 are the forms that this program converts to. The attention of both is
// the same; they differ in how they weigh experts.
var (
	deepseek = Family{
		Type: "deepseek_v3", Class: DeepseekClass,
		Models: "what mha2mla writes, to be run by verify",
		How:    option.Plain("has latent attention already"),
		read: func(f *fields, m *Model) error {
			m.MoE = &MoE{Score: Sigmoid, Bias: true, Renorm: true, Scale: 1, First: 3}
			return readDeepseek(f, m)
		},
	}
	deepseekV2 = Family{
		Type: "deepseek_v2", Class: DeepseekV2Class,
		Models: "what mha2mla writes, to be run by verify",
		How:    option.Plain("has latent attention already"),
		read: func(f *fields, m *Model) error {
			m.MoE = &MoE{Score: Softmax, Scale: 1}
			return readDeepseek(f, m)
		},
	}
)

// readDeepseek reads the configuration of a DeepSeek as this program writes it (design §6), so
// that the program can run what it wrote.
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
	if rank, _ := f.Text("q_lora_rank"); f.Has("q_lora_rank") && string(rank) != "0" { // llama.cpp alone has 0 for null
		m.MLA.QLoraRank = f.integer("q_lora_rank", 0)
	}
	m.HeadDim = m.MLA.NopeDim + m.MLA.RopeDim
	f.check(m.MLA.RopeDim%2 == 0, "%q is %d and must be even", "qk_rope_head_dim", m.MLA.RopeDim)
	if err := f.deepseekExperts(m); err != nil {
		return err
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

// deepseekExperts reads what a DeepSeek says of its experts. Transformers does not look at
// scoring_func; all other engines do.
func (f *fields) deepseekExperts(m *Model) error {
	e := m.MoE
	f.firstExperts(m, e.First)
	if m.MoE == nil || f.err != nil {
		return nil
	}
	f.expertise(m, "n_routed_experts")
	f.sharedWidth(m, 0)
	e.Score = Score(f.word("scoring_func", string(e.Score)))
	e.Bias = f.word("topk_method", TopKMethod(e.Bias)) == TopKMethod(true)
	f.check(e.Score == Softmax || e.Score == Sigmoid, "%q is %q and must be softmax or sigmoid", "scoring_func", e.Score)
	if f.integer("moe_layer_freq", 1) != 1 && f.err == nil {
		return &UnsupportedError{`"moe_layer_freq" is not 1: experts in some layers alone are not supported`, "choose a model with experts in all layers behind the first ones"}
	}
	return f.ungrouped()
}

// TopKMethod is the topk_method of experts that are chosen with a bias, or without.
func TopKMethod(bias bool) string {
	if bias {
		return "noaux_tc"
	}
	return "greedy"
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
