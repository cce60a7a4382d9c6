package family

import "github.com/mha2mla/mha2mla/internal/option"

// glmMoE is Glm4MoeForCausalLM. It rotates half of each head, and weighs experts as
// DeepSeek-V3 does.
var glmMoE = Family{
	Type: "glm4_moe", Class: "Glm4MoeForCausalLM",
	Models: "GLM-4.5-Air",
	How:    option.Plain("experts as they are, and the half of each head that does not rotate as content, exactly; biases as in Qwen2; the layer that predicts further tokens is dropped; GLM-4.5 to 4.7, with norms on queries and keys beside biases, are refused"),
	Exact:  ExactlyBiased,
	read: func(f *fields, m *Model) error {
		m.part, m.NormEps, m.MaxPositions = 0.5, 1e-5, 131072
		m.MoE = &MoE{Experts: 128, Chosen: 8, Width: 1408, Score: Sigmoid, Bias: true, Renorm: true, Scale: 1}
		if err := f.standard(m); err != nil || f.err != nil {
			return err
		}
		m.Biases, m.HeadNorms, m.ahead = f.boolean("attention_bias"), f.boolean("use_qk_norm"), true
		if m.Biases && m.HeadNorms {
			return normedBiases()
		}
		m.folded = append(m.folded, "use_qk_norm")
		return f.deepseekKeys(m, 1, 1)
	},
}

// dots1 is Dots1ForCausalLM.
var dots1 = Family{
	Type: "dots1", Class: "Dots1ForCausalLM",
	Models: "dots.llm1",
	How:    option.Plain("experts as they are, exactly; norms on queries and keys as in Qwen3: an approximation"),
	Exact:  Approximated,
	read: func(f *fields, m *Model) error {
		m.MoE = &MoE{Score: Sigmoid, Bias: true, Scale: 1}
		m.HeadNorms = true
		if err := f.standard(m); err != nil || f.err != nil {
			return err
		}
		if f.boolean("attention_bias") {
			return normedBiases()
		}
		f.window(m, max(0, f.whole("max_window_layers", 62))) // as the class has it
		return f.deepseekKeys(m, 0, 0)
	},
}

// solarOpen is SolarOpenForCausalLM.
var solarOpen = Family{
	Type: "solar_open", Class: "SolarOpenForCausalLM",
	Models: "Solar-Open",
	How:    option.Plain("experts as they are, exactly"),
	read: func(f *fields, m *Model) error {
		m.part, m.HeadDim, m.RopeTheta, m.NormEps, m.MaxPositions = 1, 128, 1e6, 1e-5, 131072
		m.MoE = &MoE{Experts: 128, Chosen: 8, Width: 1280, Score: Sigmoid, Bias: true, Renorm: true, Scale: 1}
		m.Intermediate = m.MoE.Width // no layer has an MLP
		if err := f.standard(m); err != nil || f.err != nil {
			return err
		}
		m.Biases = f.boolean("attention_bias")
		return f.deepseekKeys(m, 1, 0)
	},
}
