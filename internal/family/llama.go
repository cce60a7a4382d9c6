package family

import "github.com/mha2mla/mha2mla/internal/option"

// llama is LlamaForCausalLM: the canonical decoder itself, and the class under
// which many other models are published.
var llama = Family{
	Type: "llama", Class: "LlamaForCausalLM",
	Models: "Llama 1, 2, 3.x, TinyLlama, SmolLM 1 and 2, Yi, and others published as Llama",
	How:    option.Plain("directly; RoPE scaling of types llama3 and yarn becomes yarn where that is nearer than a geometric sequence, which linear scaling always becomes"),
	read: func(f *fields, m *Model) error {
		if err := f.standard(m); err != nil || f.err != nil {
			return err
		}
		f.allBiases(m)
		return f.perHead(m)
	},
}
