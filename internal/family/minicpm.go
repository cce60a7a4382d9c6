package family

import (
	"math"

	"github.com/mha2mla/mha2mla/internal/option"
)

// minicpm is MiniCPMForCausalLM, the class that came with MiniCPM 1 and 2: a Llama with
// multipliers.
var minicpm = Family{
	Type: "minicpm", Class: "MiniCPMForCausalLM",
	Models: "MiniCPM 1 and 2, dense",
	How:    option.Plain("the multipliers of embedding, residual and logits are folded into the weights, exactly; longrope is refused"),
	read: func(f *fields, m *Model) error {
		m.TiedHead = true
		if err := f.standard(m); err != nil || f.err != nil {
			return err
		}
		if f.Has("num_experts") && f.integer("num_experts", 1) > 1 {
			return &UnsupportedError{"experts of a MiniCPM are not supported", "choose a dense MiniCPM"}
		}
		m.multiply(Embedding, f.number("scale_emb", 1))
		m.multiply(Head, f.number("dim_model_base", 1)/float64(m.Hidden))
		depth := f.number("scale_depth", 1) / math.Sqrt(float64(m.Layers))
		for _, name := range []string{OProj, DownProj} {
			m.multiply(name, depth)
		}
		m.folded = append(m.folded, "scale_emb", "dim_model_base", "scale_depth")
		return nil
	},
}
