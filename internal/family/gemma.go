package family

import (
	"math"

	"github.com/mha2mla/mha2mla/internal/option"
)

// gemma is GemmaForCausalLM, the class of Gemma 1.
var gemma = Family{
	Type: "gemma", Class: "GemmaForCausalLM",
	Models: "Gemma 1, CodeGemma",
	How:    option.Textf("norms of 1+w and the scale of the embedding are folded exactly; its gelu is for Transformers alone: `%v`", option.Target.Is("hf")),
	read: func(f *fields, m *Model) error {
		m.Activation, m.TiedHead = GELU, true
		if err := f.grouped(m); err != nil {
			return err
		}
		act := f.word("hidden_activation", string(GELU)) // the class does not look at hidden_act
		if act != string(GELU) {
			return &UnsupportedError{"hidden_activation \"" + act + "\" of a Gemma is not supported", "gelu_pytorch_tanh is"}
		}
		if f.boolean("attention_bias") {
			m.Biases, m.OutputBias = true, true
		}
		for _, name := range []string{InputNorm, MLPNorm, FinalNorm} {
			m.shift(name, 1)
		}
		m.multiply(Embedding, math.Sqrt(float64(m.Hidden)))
		m.folded = append(m.folded, "hidden_activation")
		return nil
	},
}
