package family

import "github.com/mha2mla/mha2mla/internal/option"

// phi3 is Phi3ForCausalLM. It keeps the projections to queries, keys and values in one
// tensor, and gate_proj and up_proj in another.
var phi3 = Family{
	Type: "phi3", Class: "Phi3ForCausalLM",
	Models: "Phi-3 mini and medium of 4k, Phi-4",
	How:    option.Plain("fused projections are taken apart; a sliding window as in Mistral; the 128k models (longrope) are refused"),
	read: func(f *fields, m *Model) error {
		m.part = 1
		if err := f.standard(m); err != nil || f.err != nil {
			return err
		}
		q, kv := int64(m.Heads*m.HeadDim), int64(m.KVHeads*m.HeadDim)
		const fused = "self_attn.qkv_proj.weight"
		m.keep(QProj, fused, rows{0, q})
		m.keep(KProj, fused, rows{q, kv})
		m.keep(VProj, fused, rows{q + kv, kv})
		m.gateUp("mlp.gate_up_proj.weight")
		f.window(m, 0)
		return nil
	},
}
