package family

import (
	"math"
	"slices"

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
		f.allBiases(m)
		f.multipliers(m, DownProj)
		return nil
	},
}

// graniteHybrid is GraniteMoeHybridForCausalLM where all layers are attention and none has
// experts: a Granite whose MLP is the class's shared one.
var graniteHybrid = Family{
	Type: "granitemoehybrid", Class: "GraniteMoeHybridForCausalLM",
	Models: "Granite 4.0 Micro, 1B and 350M, without Mamba",
	How:    option.Plain("as Granite 3.x, exactly; a fused tensor is taken apart"),
	read: func(f *fields, m *Model) error {
		f.same("layer_types", "layers_block_type")
		if err := f.standard(m); err != nil || f.err != nil {
			return err
		}
		var kinds []string
		if _, err := f.decode("layer_types", "a list of strings", &kinds); err != nil {
			return err
		}
		attention := func(kind string) bool { return kind == "attention" || kind == "full_attention" }
		if len(kinds) < m.Layers || slices.ContainsFunc(kinds, func(kind string) bool { return !attention(kind) }) {
			return &UnsupportedError{"not all of its layers are attention with a KV cache", "choose Granite 4.0 Micro, 1B or 350M without H in its name"}
		}
		if f.whole("num_local_experts", 8) != 0 { // as the class has it
			return &UnsupportedError{"it has experts beside an MLP for all tokens, whose widths the target would have to share", "choose a model without experts"}
		}
		f.allBiases(m)
		m.Intermediate = f.integer("shared_intermediate_size", 1024)
		f.Set("intermediate_size", m.Intermediate)
		m.gateUp("shared_mlp.input_linear.weight")
		m.keep(DownProj, "shared_mlp.output_linear.weight")
		f.multipliers(m, DownProj)
		if f.word("position_embedding_type", "") != "rope" {
			f.stillLayers(m, func(int) bool { return true })
		}
		m.folded = append(m.folded, "position_embedding_type", "shared_intermediate_size", "layers_block_type")
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
