package family

import "github.com/mha2mla/mha2mla/internal/option"

// exaone is ExaoneForCausalLM, the class that came with EXAONE 3.0 and 3.5: a Llama under
// other names.
var exaone = Family{
	Type: "exaone", Class: "ExaoneForCausalLM",
	Models: "EXAONE 3.0, 3.5 and Deep",
	How:    option.Plain("directly, under other names; RoPE scaling as in Llama"),
	read: func(f *fields, m *Model) error {
		for usual, other := range map[string]string{"num_hidden_layers": "num_layers", "rms_norm_eps": "layer_norm_epsilon", "hidden_act": "activation_function"} {
			f.same(usual, other)
			m.folded = append(m.folded, other)
		}
		m.NormEps = 1e-5
		if err := f.standard(m); err != nil {
			return err
		}
		m.stem = "transformer.h."
		for canonical, name := range map[string]string{
			Embedding: "transformer.wte.weight", FinalNorm: "transformer.ln_f.weight", InputNorm: "ln_1.weight", MLPNorm: "ln_2.weight",
			QProj: "attn.attention.q_proj.weight", KProj: "attn.attention.k_proj.weight", VProj: "attn.attention.v_proj.weight", OProj: "attn.attention.out_proj.weight",
			GateProj: "mlp.c_fc_0.weight", UpProj: "mlp.c_fc_1.weight", DownProj: "mlp.c_proj.weight",
		} {
			m.keep(canonical, name)
		}
		return nil
	},
}
