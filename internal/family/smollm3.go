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
		f.allBiases(m)
		return f.noRope(m)
	},
}

// noRope reads which layers do not rotate: those with 0 in a list, or else every n-th.
func (f *fields) noRope(m *Model) error {
	const list, interval = "no_rope_layers", "no_rope_layer_interval"
	m.folded = append(m.folded, list, interval)
	var rotates []int
	given, err := f.decode(list, "a list of 0 and 1", &rotates)
	if err != nil {
		return err
	}
	every := f.integer(interval, 4) // as the class has it
	f.check(!given || len(rotates) >= m.Layers, "%q has %d members for %d layers", list, len(rotates), m.Layers)
	if f.err != nil {
		return nil
	}
	f.stillLayers(m, func(n int) bool {
		if given {
			return rotates[n] == 0
		}
		return (n+1)%every == 0
	})
	return nil
}

// stillLayers notes which layers do not rotate.
func (f *fields) stillLayers(m *Model, still func(n int) bool) {
	const most = 1 << 16 // a flag is kept for each layer, so a false number would fill the memory
	f.check(m.Layers <= most, "%q is %d and must be at most 2^16", "num_hidden_layers", m.Layers)
	if f.err != nil {
		return
	}
	m.Still = make([]bool, m.Layers)
	for n := range m.Still {
		m.Still[n] = still(n)
	}
}
