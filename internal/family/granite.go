package family

import (
	"math"

	"github.com/mha2mla/mha2mla/internal/option"
)

// granite is GraniteForCausalLM: a Llama with multipliers.
var granite = Family{
	Type: "granite", Class: "GraniteForCausalLM",
	Models: "Granite 3.x, dense",
	How:    option.Plain("the multipliers of embedding, attention, residual and logits are folded into the weights, exactly"),
	read: func(f *fields, m *Model) error {
		if err := f.standard(m); err != nil || f.err != nil {
			return err
		}
		m.Biases = f.boolean("attention_bias")
		m.OutputBias = m.Biases
		f.multipliers(m, DownProj)
		return nil
	},
}

// multipliers reads the constants by which the classes of Granite multiply. Returns names the
// weights of a layer, beside those of its attention, that write to the residual stream.
func (f *fields) multipliers(m *Model, returns ...string) {
	m.multiply(Embedding, f.number("embedding_multiplier", 1))
	m.multiply(Head, 1/f.number("logits_scaling", 1))
	m.scaleScores(f.number("attention_multiplier", 1) * math.Sqrt(float64(m.HeadDim))) // the class multiplies by it instead of 1/√D
	residual := f.number("residual_multiplier", 1)
	for _, name := range append(returns, OProj, OBias) {
		m.multiply(name, residual)
	}
	m.folded = append(m.folded, "embedding_multiplier", "logits_scaling", "attention_multiplier", "residual_multiplier")
}
