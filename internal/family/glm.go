package family

import "github.com/mha2mla/mha2mla/internal/option"

// glm is GlmForCausalLM, the class of GLM-4-9B in the form of Transformers. It rotates half of
// each head, in pairs of neighbours, and keeps gate_proj and up_proj in one tensor.
var glm = Family{
	Type: "glm", Class: "GlmForCausalLM",
	Models: "GLM-4-9B (hf), GLM-Edge",
	How:    option.Textf("the half of each head that does not rotate becomes content, exactly; biases as in Qwen2"),
	Exact:  ExactlyBiased,
	read: func(f *fields, m *Model) error {
		m.part, m.paired, m.HeadDim, m.NormEps, m.MaxPositions = 0.5, true, 128, 1.5625e-7, 131072
		if err := f.standard(m); err != nil || f.err != nil {
			return err
		}
		m.Biases = f.truth("attention_bias", true)
		m.gateUp("mlp.gate_up_proj.weight")
		return nil
	},
}

// gateUp notes that a tensor holds the rows of gate_proj, and below them those of up_proj.
func (m *Model) gateUp(name string) {
	inner := int64(m.Intermediate)
	m.keep(GateProj, name, rows{0, inner})
	m.keep(UpProj, name, rows{inner, inner})
}
