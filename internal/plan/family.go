package plan

import (
	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// checkFamily returns an error if the form that the user asks for cannot express what the
// model computes.
func (c *Choices) checkFamily() error {
	if c.model.MoE != nil && c.form != layout.FormDeepseek {
		return unsupported("models with experts are written as a DeepSeek alone").Try("use %v", option.Layout.Is(layout.FormDeepseek))
	}
	switch c.form {
	case layout.FormReference:
		known := c.model.Family() == "llama" || c.model.Family() == "qwen2" && c.model.Window.Positions == 0
		if !known || !canonical(c.model) {
			return unsupported("the mha2mla layout keeps the class of the source, and the code that runs it knows LlamaForCausalLM and Qwen2ForCausalLM without yarn and sliding windows alone, not this %s", c.model.Architecture).
				Try("use %v", option.Layout.Is(layout.FormDeepseek))
		}
		if c.model.Biases && (value(c.asked.Heal) != heal.None || c.asked.Distill > 0) {
			return Misuse("%v does not go with the biases that the mha2mla layout keeps", c.training().Option).Try("leave it out, or use %v", option.Layout.Is(layout.FormDeepseek))
		}
	case layout.FormGrouped:
		if c.model.Biases || c.model.HeadNorms || !canonical(c.model) {
			return unsupported("%v keeps the class of the source and is for weights that are what they say; those of this %s are fused, multiplied or added to", option.Method.Is(c.method), c.model.Architecture).
				Try("choose another %v", option.Method)
		}
	default:
		return c.checkDeepseek()
	}
	return nil
}

// checkDeepseek does the work of checkFamily for the deepseek layout.
func (c *Choices) checkDeepseek() error {
	w := c.model.Window.Positions
	switch {
	case w > 0 && !c.asked.IgnoreWindow:
		return unsupported("%q attends to the last %d of %d positions alone, latent attention to all", c.model.Architecture, w, c.model.MaxPositions).
			Try("%v converts it to attend to all of them: within the window nothing changes", option.IgnoreWindow)
	case c.model.OutputBias && c.bias != mla.BiasHF:
		return unsupported("the attention output of %q has a bias of its own, which cannot be folded into weights", c.model.Architecture).
			Try("%v keeps it, for Transformers alone", option.Bias.Is(mla.BiasHF))
	case c.model.MoE != nil && c.asked.Distill > 0:
		return unsupported("%v does not go with experts", option.Distill).Try("%v heals one layer after the other", option.Heal)
	case c.model.MoE != nil && c.model.MoE.Score == family.Softmax && c.model.MoE.Renorm && c.target == engine.All:
		return unsupported("no one file has the experts of %q weighed alike in all engines: Transformers and mlx-lm have sigmoids alone in a DeepSeek-V3, where the others have the softmax that it needs, too", c.model.Architecture).
			Try("name one of the others: %v, sglang, llama.cpp or ollama", option.Target.Is(engine.VLLM))
	case c.model.Activation != family.SiLU && c.target != engine.HF:
		return unsupported("the MLP of %q has %s, and the DeepSeek-V3 of other engines than Transformers silu alone", c.model.Architecture, c.model.Activation).
			Try("%v writes it for Transformers, which has others", option.Target.Is(engine.HF))
	case !c.model.Rotates() && (c.method == mla.MethodTransMLA || c.selected != rope.BySensitivity):
		what := option.RopeSelect.Is(c.selected)
		if c.method == mla.MethodTransMLA {
			what = option.Method.Is(c.method)
		}
		return unsupported("%v needs heads that rotate as a whole, in every layer", what).Try("leave it out")
	case c.model.Rope != nil && c.method == mla.MethodTransMLA:
		return unsupported("%v needs frequencies that follow from a base, and RoPE is scaled (%s)", option.Method.Is(c.method), c.model.Rope.Kind).
			Try("choose another %v", option.Method)
	default:
		return nil
	}
}

// canonical reports whether the checkpoint stores every weight under its canonical name and
// as it is, so that the class of the source neither multiplies it nor adds to it. Only then
// the model can be written for that class again.
func canonical(m *family.Model) bool {
	for _, w := range m.Weights() {
		tied := m.TiedHead && w.Name == family.Head
		if !w.Plain() || !w.Entire() || w.Stored() != w.Name && !tied {
			return false
		}
	}
	return true
}
