package family

import "github.com/mha2mla/mha2mla/internal/option"

// ernie45 is Ernie4_5ForCausalLM, which rotates pairs of neighbours.
var ernie45 = Family{
	Type: "ernie4_5", Class: "Ernie4_5ForCausalLM",
	Models: "ERNIE 4.5 0.3B",
	How:    option.Plain("directly: rotary pairs of neighbours are read as such"),
	read: func(f *fields, m *Model) error {
		m.paired, m.HeadDim, m.RopeTheta, m.NormEps, m.MaxPositions, m.TiedHead = true, 128, 5e5, 1e-5, 131072, true
		if err := f.standard(m); err != nil {
			return err
		}
		if f.boolean("use_bias") {
			return &UnsupportedError{`"use_bias" is true: the MLP of the target has no biases`, "choose a model without them"}
		}
		return nil
	},
}
