package family

import (
	"fmt"

	"github.com/mha2mla/mha2mla/internal/option"
)

// These families weigh experts by a softmax of the router's logits.

// deepseekMoE is DeepseekForCausalLM, the class of DeepSeek's first models with experts: a Llama
// whose experts are DeepSeek-V2's.
var deepseekMoE = Family{
	Type: "deepseek", Class: "DeepseekForCausalLM",
	Models: "DeepSeek-MoE 16B, GigaChat 20B",
	How:    option.Plain("experts as they are, exactly, in DeepseekV2ForCausalLM"),
	Target: DeepseekV2Class,
	read: func(f *fields, m *Model) error {
		m.MoE = &MoE{Score: Softmax, Scale: 1}
		if err := f.standard(m); err != nil || f.err != nil {
			return err
		}
		if f.word("scoring_func", "softmax") != "softmax" || f.integer("moe_layer_freq", 1) != 1 {
			return &UnsupportedError{`its experts are not weighed by a softmax in every layer ("scoring_func", "moe_layer_freq")`, "choose DeepSeek-MoE 16B"}
		}
		f.allBiases(m)
		return f.deepseekKeys(m, 0, 0)
	},
}

// renormed says for whom experts whose softmax is normed again are written.
var renormed = option.Textf("experts as they are, exactly, for vLLM, SGLang, llama.cpp and Ollama (%v and so on); Transformers and mlx-lm have no such DeepSeek", option.Target.Is("vllm"))

// mixtral is MixtralForCausalLM.
var mixtral = Family{
	Type: "mixtral", Class: "MixtralForCausalLM",
	Models: "Mixtral 8x7B and 8x22B",
	How:    renormed,
	read: func(f *fields, m *Model) error {
		m.RopeTheta, m.NormEps, m.MaxPositions = 1e6, 1e-5, 131072
		m.MoE = &MoE{Experts: 8, Chosen: 2, Score: Softmax, Renorm: true, Scale: 1}
		if err := f.standard(m); err != nil || f.err != nil {
			return err
		}
		f.window(m, 0)
		m.MoE.Width = m.Intermediate
		f.expertise(m, "num_local_experts")
		if f.err != nil {
			return nil
		}
		m.blockSparse()
		return nil
	},
}

// blockSparse notes that a checkpoint names routers and experts as Mixtral does.
func (m *Model) blockSparse() {
	const block = "block_sparse_moe."
	m.keep(Router, block+"gate.weight")
	for i := range m.MoE.Experts {
		for canonical, name := range map[string]string{GateProj: "w1", UpProj: "w3", DownProj: "w2"} {
			m.keep(OfExpert(i, canonical), fmt.Sprintf("%sexperts.%d.%s.weight", block, i, name))
		}
	}
}

// qwen3MoE is Qwen3MoeForCausalLM.
var qwen3MoE = Family{
	Type: "qwen3_moe", Class: "Qwen3MoeForCausalLM",
	Models: "Qwen3 with experts, Qwen3-Coder",
	How:    option.Textf("%v; norms on queries and keys as in Qwen3: an approximation", renormed),
	Exact:  Approximated,
	read: func(f *fields, m *Model) error {
		m.HeadNorms, m.MaxPositions = true, 32768
		m.MoE = &MoE{Experts: 128, Chosen: 8, Width: 768, Score: Softmax, Scale: 1}
		if err := f.standard(m); err != nil || f.err != nil {
			return err
		}
		if f.boolean("attention_bias") {
			return normedBiases()
		}
		var dense []int
		if _, err := f.decode("mlp_only_layers", "a list of integers", &dense); err != nil {
			return err
		}
		if len(dense) > 0 || f.integer("decoder_sparse_step", 1) != 1 {
			return &UnsupportedError{"some of its layers have no experts, in no order that the target knows", "choose a model with experts in all layers"}
		}
		f.upperWindow(m)
		f.expertise(m, "num_experts")
		m.folded = append(m.folded, "mlp_only_layers", "decoder_sparse_step")
		return nil
	},
}

// graniteMoE is GraniteMoeForCausalLM, which keeps the experts of a layer one below the other.
var graniteMoE = Family{
	Type: "granitemoe", Class: "GraniteMoeForCausalLM",
	Models: "Granite 3.x with experts",
	How:    option.Textf("%v; multipliers as in Granite", renormed),
	read: func(f *fields, m *Model) error {
		m.MoE = &MoE{Experts: 8, Chosen: 2, Score: Softmax, Renorm: true, Scale: 1}
		if err := f.standard(m); err != nil || f.err != nil {
			return err
		}
		f.allBiases(m)
		m.MoE.Width = m.Intermediate
		f.expertise(m, "num_local_experts")
		if f.err != nil {
			return nil
		}
		const block = "block_sparse_moe."
		m.keep(Router, block+"router.layer.weight")
		f.multipliers(m, m.stack(block+"input_linear.weight", block+"output_linear.weight")...)
		return nil
	},
}

// stack notes that a checkpoint keeps the experts of a layer one below the other: in one tensor
// the rows of gate_proj of an expert, followed by those of its up_proj, in another those of its
// down_proj. It returns the names of the latter.
func (m *Model) stack(gateUp, down string) (returns []string) {
	w, d := int64(m.MoE.Width), int64(m.Hidden)
	for i := range m.MoE.Experts {
		at := int64(i)
		m.keep(OfExpert(i, GateProj), gateUp, rows{2 * at * w, w})
		m.keep(OfExpert(i, UpProj), gateUp, rows{(2*at + 1) * w, w})
		m.keep(OfExpert(i, DownProj), down, rows{at * d, d})
		returns = append(returns, OfExpert(i, DownProj))
	}
	return returns
}
