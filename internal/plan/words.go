package plan

import (
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
)

// Words returns the settings that make this conversion again at the sizes s, in the order in
// which a user would give them. It spells out every choice that changes the weights and no
// other. The choices do not know the text, so the caller passes the settings about it as
// data.
func (c *Choices) Words(s Sizes, data ...option.Setting) []option.Setting {
	var words []option.Setting
	switch c.form {
	case layout.FormReference:
		words = append(c.mathsWords(s), c.referenceWords()...)
		words = append([]option.Setting{option.Layout.Is(c.form)}, words...)
	case layout.FormGrouped:
		words = []option.Setting{option.Method.Is(c.method), option.Cache.Is(2 * s.KVHeads * c.model.HeadDim)}
	default:
		words = append(c.mathsWords(s), c.deepseekWords()...)
	}
	words = append(words, data...)
	dtype := c.dtype.Word()
	if dtype != "" {
		words = append(words, option.DType.Is(dtype))
	}
	if c.asked.Clamp {
		words = append(words, option.Clamp.Alone())
	}
	return words
}

// mathsWords returns the settings about the mathematics of a layer, sizes first.
func (c *Choices) mathsWords(s Sizes) []option.Setting {
	words := []option.Setting{option.Rank.Is(s.Rank)}
	if c.asked.Threshold > 0 {
		words = append(words, option.RopeThreshold.Is(c.asked.Threshold))
	} else {
		words = append(words, option.RopeDims.Is(s.RopeDims))
	}
	if c.method == mla.MethodTransMLA {
		words = append(words, option.Method.Is(c.method))
		if c.asked.FreqFold > 0 {
			words = append(words, option.FreqFold.Is(c.asked.FreqFold))
		}
	} else {
		words = append(words, c.keyWords(s)...)
		words = append(words, option.RopeSelect.Is(c.selected), option.Weights.Is(c.weights))
	}
	if c.heal != heal.None || !c.method.Published() { // the program's own method heals unless it is told not to
		words = append(words, option.Heal.Is(c.heal))
	}
	if c.HealOrder() != c.heal.Usual() {
		words = append(words, option.HealOrder.Is(c.HealOrder()))
	}
	if c.asked.Distill > 0 {
		words = append(words, option.Distill.Is(c.asked.Distill))
	}
	return words
}

// keyWords returns the settings about the frequencies of a shared rotary key. It returns
// none for the mha2mla layout, where every pair keeps its frequency.
func (c *Choices) keyWords(s Sizes) []option.Setting {
	if c.form == layout.FormReference {
		return nil
	}
	words := []option.Setting{option.RopeTheta.Is(s.Theta)}
	if s.Scaling != nil {
		words = append(words, option.RopeScaling.Is(s.Scaling.Kind))
	}
	return words
}

// referenceWords returns the settings that the mha2mla layout alone has.
func (c *Choices) referenceWords() []option.Setting {
	if c.asked.SVD != SVDSplit {
		return nil
	}
	return []option.Setting{option.SVD.Is(SVDSplit)}
}

// deepseekWords returns the settings that the deepseek layout alone has.
func (c *Choices) deepseekWords() []option.Setting {
	words := []option.Setting{option.LatentNorm.Is(c.norm)}
	switch {
	case c.model.WideNorms && c.qLora == layout.QLoraNone:
		words = append(words, option.QLora.Is("none"))
	case c.qLora == layout.QLoraExact:
		words = append(words, option.QLora.Is("exact"))
	case c.qLora.Rank() > 0:
		words = append(words, option.QLora.Is(c.qLora.Rank()))
	}
	if c.bias == mla.BiasHF && c.model.Biases {
		words = append(words, option.Bias.Is(c.bias))
	}
	if c.pad != nil {
		words = append(words, option.PadToKernel.Is(c.pad.Name))
	}
	if c.asked.LargerCache {
		words = append(words, option.LargerCache.Alone())
	}
	e := c.oneTarget()
	if e != "" {
		words = append(words, option.Target.Is(e))
	}
	if c.model.Window.Positions > 0 {
		words = append(words, option.IgnoreWindow.Alone())
	}
	return words
}
