package family

import "github.com/mha2mla/mha2mla/internal/option"

// mistral is MistralForCausalLM.
var mistral = Family{
	Type: "mistral", Class: "MistralForCausalLM",
	Models: "Mistral 7B, Mistral Nemo, Mistral Small, Zephyr",
	How:    option.Textf("directly; a sliding window shorter than the context only with %v", option.IgnoreWindow.Alone()),
	read: func(f *fields, m *Model) error {
		if err := f.standard(m); err != nil {
			return err
		}
		if _, given := f.text["sliding_window"]; !given {
			f.Set("sliding_window", 4096) // the class takes this where the key is not there
		}
		f.window(m, 0)
		return nil
	},
}

// window reads the sliding window of the layers that begin with the given one. A window
// that is no shorter than the context changes nothing, so it is not noted.
func (f *fields) window(m *Model, from int) {
	if !f.Has("sliding_window") {
		return
	}
	if n := f.integer("sliding_window", 0); n < m.MaxPositions && from < m.Layers {
		m.Window = Window{Positions: n, FromLayer: from}
	}
}
