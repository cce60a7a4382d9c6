package family

import "github.com/mha2mla/mha2mla/internal/option"

// likeLlama describes a class that came with its models and computes what Llama does. Biases
// names the key that says whether its attention has biases, and preset what holds without it;
// empty if it has none. The output projection has one, too, if whole is true.
func likeLlama(kind, class, models, biases string, preset, whole bool) Family {
	how, exact := option.Plain("directly"), Exact
	if biases != "" {
		how = option.Plain("directly; biases as in Qwen2")
	}
	if preset {
		exact = ExactlyBiased
	}
	return Family{Type: kind, Class: class, Models: models, How: how, Exact: exact, read: func(f *fields, m *Model) error {
		if err := f.standard(m); err != nil || biases == "" {
			return err
		}
		m.Biases = f.truth(biases, preset)
		m.OutputBias = m.Biases && whole
		m.ahead = true
		return nil
	}}
}

var (
	internlm  = likeLlama("internlm", "InternLMForCausalLM", "InternLM 1", "bias", true, true)
	internlm3 = likeLlama("internlm3", "InternLM3ForCausalLM", "InternLM3", "qkv_bias", false, true)
	aquila    = likeLlama("aquila", "AquilaForCausalLM", "Aquila, AquilaChat", "", false, false)
	xverse    = likeLlama("xverse", "XverseForCausalLM", "XVERSE", "", false, false)
	mimo      = likeLlama("mimo", "MiMoForCausalLM", "MiMo 7B, without the layers that predict further tokens", "attention_bias", true, false)
)
