package family

import "github.com/mha2mla/mha2mla/internal/option"

// helium is HeliumForCausalLM, which rotates pairs of neighbours.
var helium = Family{
	Type: "helium", Class: "HeliumForCausalLM",
	Models: "Helium 1",
	How:    option.Plain("directly: rotary pairs of neighbours are read as such"),
	read: func(f *fields, m *Model) error {
		m.paired, m.HeadDim, m.RopeTheta, m.NormEps, m.MaxPositions = true, 128, 1e5, 1e-8, 4096
		if err := f.standard(m); err != nil {
			return err
		}
		m.Biases = f.boolean("attention_bias") // of queries, keys and values alone
		return nil
	},
}
