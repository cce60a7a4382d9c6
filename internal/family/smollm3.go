package family

import "github.com/mha2mla/mha2mla/internal/option"

// smollm3 is SmolLM3ForCausalLM: a Llama of which some layers do not rotate.
var smollm3 = Family{
	Type: "smollm3", Class: "SmolLM3ForCausalLM",
	Models: "SmolLM3",
	How:    option.Plain("the layers without RoPE have a rotary key of zeros, which is exact"),
	read: func(f *fields, m *Model) error {
		m.RopeTheta, m.TiedHead, m.MaxPositions = 2e6, true, 32768
		if err := f.standard(m); err != nil || f.err != nil {
			return err
		}
		if f.boolean("use_sliding_window") {
			return &UnsupportedError{`"use_sliding_window" is true: a window in the layers without RoPE alone is not supported`, "choose a model without it"}
		}
		m.Biases = f.boolean("attention_bias")
		m.OutputBias = m.Biases
		f.stillLayers(m)
		return nil
	},
}

// stillLayers reads which layers do not rotate: those with 0 in a list, or else every n-th.
func (f *fields) stillLayers(m *Model) {
	const list, interval = "no_rope_layers", "no_rope_layer_interval"
	m.folded = append(m.folded, list, interval)
	var rotates []int
	given, err := f.decode(list, "a list of 0 and 1", &rotates)
	if err != nil {
		f.complain(err)
		return
	}
	every := f.integer(interval, 4) // as the class has it
	const most = 1 << 16            // a flag is kept for each layer, so a false number would fill the memory
	f.check(m.Layers <= most, "%q is %d and must be at most 2^16", "num_hidden_layers", m.Layers)
	f.check(!given || len(rotates) >= m.Layers, "%q has %d members for %d layers", list, len(rotates), m.Layers)
	if f.err != nil {
		return
	}
	m.Still = make([]bool, m.Layers)
	for n := range m.Still {
		m.Still[n] = (n+1)%every == 0
		if given {
			m.Still[n] = rotates[n] == 0
		}
	}
}
