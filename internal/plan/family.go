package plan

import (
	"fmt"

	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
)

// checkFamily is an error if the form that is asked for cannot express what the model
// computes.
func (c *Choices) checkFamily() error {
	refuse := func(tip, format string, args ...any) error {
		return &family.UnsupportedError{What: fmt.Sprintf(format, args...), Tip: tip}
	}
	switch c.form {
	case layout.FormReference:
		known := c.model.Family() == "llama" || c.model.Family() == "qwen2" && c.model.Window.Positions == 0
		if !known || !canonical(c.model) {
			return refuse("use --layout deepseek", "the mha2mla layout keeps the class of the source, and the code that runs it knows LlamaForCausalLM and Qwen2ForCausalLM without yarn and sliding windows alone, not this %s", c.model.Architecture)
		}
		if c.model.Biases && value(c.asked.Heal) != heal.None {
			return &UsageError{"--heal does not go with the biases that the mha2mla layout keeps", "leave it out, or use --layout deepseek"}
		}
	case layout.FormGrouped:
		if c.model.Biases || c.model.HeadNorms || !canonical(c.model) {
			return refuse("choose another --method", "--method gqa-mean keeps the class of the source and is for weights that are what they say; those of this %s are fused, multiplied or added to", c.model.Architecture)
		}
	default:
		return c.checkDeepseek(refuse)
	}
	return nil
}

// checkDeepseek is checkFamily for the deepseek layout.
func (c *Choices) checkDeepseek(refuse func(tip, format string, args ...any) error) error {
	switch w := c.model.Window.Positions; {
	case w > 0 && !c.asked.IgnoreWindow:
		return refuse("--ignore-sliding-window converts it to attend to all of them: within the window nothing changes",
			"%q attends to the last %d of %d positions alone, latent attention to all", c.model.Architecture, w, c.model.MaxPositions)
	case c.model.OutputBias && c.bias != mla.BiasHF:
		return refuse("--bias hf keeps it, for Transformers alone", "the attention output of %q has a bias of its own, which cannot be folded into weights", c.model.Architecture)
	case c.model.Activation != family.SiLU && c.target != engine.HF:
		return refuse("--target hf writes it for Transformers, which has others", "the MLP of %q has %s, and the DeepSeek-V3 of other engines than Transformers silu alone", c.model.Architecture, c.model.Activation)
	case c.model.Rope != nil && c.method == mla.MethodTransMLA:
		return refuse("choose another --method", "--method transmla needs frequencies that follow from a base, and RoPE is scaled (%s)", c.model.Rope.Kind)
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
