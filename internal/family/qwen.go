package family

import "github.com/mha2mla/mha2mla/internal/option"

// qwen2 is Qwen2ForCausalLM.
var qwen2 = Family{
	Type: "qwen2", Class: "Qwen2ForCausalLM",
	Models: "Qwen2, Qwen2.5, and what is distilled into them",
	How:    option.Textf("biases of queries, keys and values by %v or, exactly and for Transformers alone, %v; %v keeps them", option.Bias.Is("fold"), option.Bias.Is("hf"), option.Layout.Is("mha2mla")),
	Exact:  ExactlyBiased,
	read: func(f *fields, m *Model) error {
		m.Biases = true
		if err := f.standard(m); err != nil {
			return err
		}
		f.upperWindow(m)
		return f.perHead(m)
	},
}

// qwen3 is Qwen3ForCausalLM.
var qwen3 = Family{
	Type: "qwen3", Class: "Qwen3ForCausalLM",
	Models: "Qwen3, dense",
	How:    option.Plain("the norms on queries and keys become linear, as is nearest on a text, or constants of each head without statistics: an approximation"),
	Exact:  Approximated,
	read: func(f *fields, m *Model) error {
		m.HeadNorms = true
		if err := f.standard(m); err != nil {
			return err
		}
		if f.boolean("attention_bias") {
			return normedBiases()
		}
		f.upperWindow(m)
		return nil
	},
}

// upperWindow reads the sliding window that the upper layers of a Qwen may have.
func (f *fields) upperWindow(m *Model) {
	if f.boolean("use_sliding_window") {
		from := f.whole("max_window_layers", 28) // as the class has it
		f.check(from >= 0, "%q is %d and must not be negative", "max_window_layers", from)
		f.window(m, from)
	}
}

// normedBiases is the error for biases whose sum with a projection passes a norm.
func normedBiases() error {
	return &UnsupportedError{`"attention_bias" is true: biases before a norm on queries and keys are not supported`, "choose a model without them"}
}
