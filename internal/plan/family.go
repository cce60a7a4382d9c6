package plan

import (
	"fmt"

	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
)

// checkFamily is an error if the form that the options ask for cannot express
// what m computes.
func (o *Options) checkFamily(m *family.Model) error {
	refuse := func(tip, format string, args ...any) error {
		return &family.UnsupportedError{What: fmt.Sprintf(format, args...), Tip: tip}
	}
	switch o.Form() {
	case layout.FormReference:
		known := m.Family() == "llama" || m.Family() == "qwen2" && m.Window.Positions == 0
		if !known || !canonical(m) {
			return refuse("use --layout deepseek", "the mha2mla layout keeps the class of the source, and the code that runs it knows LlamaForCausalLM and Qwen2ForCausalLM without yarn and sliding windows alone, not this %s", m.Architecture)
		}
		if m.Biases && o.Heal != 0 {
			return &UsageError{"--heal does not go with the biases that the mha2mla layout keeps", "leave it out, or use --layout deepseek"}
		}
	case layout.FormGrouped:
		if m.Biases || m.HeadNorms || !canonical(m) {
			return refuse("choose another --method", "--method gqa-mean keeps the class of the source and is for weights that are what they say; those of this %s are fused, multiplied or added to", m.Architecture)
		}
	default:
		return o.checkDeepseek(m, refuse)
	}
	return nil
}

// checkDeepseek is checkFamily for the deepseek layout.
func (o *Options) checkDeepseek(m *family.Model, refuse func(tip, format string, args ...any) error) error {
	switch w := m.Window.Positions; {
	case w > 0 && !o.IgnoreWindow:
		return refuse("--ignore-sliding-window converts it to attend to all of them: within the window nothing changes",
			"%q attends to the last %d of %d positions alone, latent attention to all", m.Architecture, w, m.MaxPositions)
	case m.OutputBias && o.Bias != mla.BiasHF:
		return refuse("--bias hf keeps it, for Transformers alone", "the attention output of %q has a bias of its own, which cannot be folded into weights", m.Architecture)
	case m.Activation != family.SiLU && o.Target != engine.HF:
		return refuse("--target hf writes it for Transformers, which has others", "the MLP of %q has %s, and the DeepSeek-V3 of other engines than Transformers silu alone", m.Architecture, m.Activation)
	case m.Rope != nil && o.Method == mla.MethodTransMLA:
		return refuse("choose another --method", "--method transmla needs frequencies that follow from a base, and RoPE is scaled (%s)", m.Rope.Kind)
	default:
		return nil
	}
}

// canonical reports whether the checkpoint keeps every weight under its own name,
// with nothing that the class of the source multiplies or adds: then it can be
// written for that class again.
func canonical(m *family.Model) bool {
	for _, w := range m.Weights() {
		tied := m.TiedHead && w.Name == family.Head
		if !w.Plain() || w.Stored() != w.Name && !tied {
			return false
		}
	}
	return true
}
