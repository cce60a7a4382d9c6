package family

import "github.com/mha2mla/mha2mla/internal/option"

// seedOSS is SeedOssForCausalLM.
var seedOSS = Family{
	Type: "seed_oss", Class: "SeedOssForCausalLM",
	Models: "Seed-OSS",
	How:    option.Plain("biases of queries, keys and values as in Qwen2"),
	Exact:  ExactlyBiased,
	read: func(f *fields, m *Model) error {
		m.HeadDim, m.MaxPositions = 128, 524288
		if err := f.standard(m); err != nil {
			return err
		}
		m.Biases = f.truth("attention_bias", true)
		m.OutputBias = f.boolean("attention_out_bias")
		return nil
	},
}
