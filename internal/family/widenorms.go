package family

import "github.com/mha2mla/mha2mla/internal/option"

// These families have a norm over the queries of all heads together, and one over the keys.

// wideNorms says what becomes of these norms.
var wideNorms = option.Plain("the norm over the queries of all heads stays a norm, that over their keys becomes linear as in Qwen3: an approximation")

// olmoe is OlmoeForCausalLM, whose experts are DeepSeek-V2's.
var olmoe = Family{
	Type: "olmoe", Class: "OlmoeForCausalLM",
	Models: "OLMoE",
	How:    option.Textf("experts as they are, exactly, in DeepseekV2ForCausalLM; %v", wideNorms),
	Exact:  Approximated,
	Target: DeepseekV2Class,
	read: func(f *fields, m *Model) error {
		m.HeadNorms, m.WideNorms, m.NormEps, m.MaxPositions = true, true, 1e-5, 4096
		m.MoE = &MoE{Experts: 64, Chosen: 8, Score: Softmax, Scale: 1}
		if err := f.standard(m); err != nil || f.err != nil {
			return err
		}
		if f.boolean("attention_bias") {
			return normedBiases()
		}
		if f.Has("clip_qkv") {
			return &UnsupportedError{`"clip_qkv" limits queries, keys and values, which the target does not`, "choose a model without it"}
		}
		m.MoE.Width = m.Intermediate
		f.expertise(m, "num_experts")
		m.folded = append(m.folded, "clip_qkv")
		return nil
	},
}

// minimaxM2 is MiniMaxM2ForCausalLM. It weighs experts as DeepSeek-V3 does, and keeps them as
// Mixtral does.
var minimaxM2 = Family{
	Type: "minimax_m2", Class: "MiniMaxM2ForCausalLM",
	Models: "MiniMax-M2, where its weights are BF16",
	How:    option.Textf("experts as they are, and the half of each head that does not rotate as content, exactly; %v", wideNorms),
	Exact:  Approximated,
	read: func(f *fields, m *Model) error {
		m.part, m.HeadDim, m.RopeTheta, m.MaxPositions = 1, 128, 5e6, 196608
		m.HeadNorms, m.WideNorms, m.ahead = true, true, true
		m.MoE = &MoE{Experts: 256, Chosen: 8, Score: Sigmoid, Bias: true, Renorm: true, Scale: 1}
		if dims := f.whole("rotary_dim", 0); dims != 0 && !f.Has("partial_rotary_factor") && !f.Has("rope_parameters") {
			f.Set("partial_rotary_factor", float64(dims)/float64(f.integer("head_dim", m.HeadDim)))
		}
		if err := f.standard(m); err != nil || f.err != nil {
			return err
		}
		m.MoE.Width = m.Intermediate
		f.expertise(m, "num_local_experts")
		if f.err != nil {
			return nil
		}
		m.blockSparse()
		m.keep(RouterBias, "block_sparse_moe.e_score_correction_bias")
		m.folded = append(m.folded, "rotary_dim")
		return nil
	},
}
