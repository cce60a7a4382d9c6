package plan

import (
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// checkMethod checks the options that go with one method alone. The rotary key has dims
// dimensions; 0 means that the search will choose them.
func (c *Choices) checkMethod(dims int) error {
	switch {
	case c.method != mla.MethodTransMLA && c.asked.FreqFold > 0:
		return Misuse("%v goes with %v", option.FreqFold, option.Method.Is(mla.MethodTransMLA))
	case c.method != mla.MethodTransMLA:
		return nil
	case c.selected != rope.BySensitivity || c.asked.Threshold > 0:
		return Misuse("%v and %v do not go with %v: it folds pairs and drops none", option.RopeSelect, option.RopeThreshold, option.Method.Is(mla.MethodTransMLA))
	case c.asked.Theta != 0 && c.asked.Theta != c.model.RopeTheta:
		return Misuse("%v keeps the source's rope_theta %.9g", option.Method.Is(mla.MethodTransMLA), c.model.RopeTheta).Try("leave %v out", option.RopeTheta)
	case dims > 0:
		return c.foldable(dims)
	case len(c.Splits()) == 0:
		return Misuse("no rotary key within %v goes with %v", option.Cache.Is(c.asked.Cache), option.FreqFold.Is(c.asked.FreqFold)).Try("leave %v out", option.FreqFold)
	default:
		return nil
	}
}

// foldable returns an error if TransMLA cannot make a rotary key of dims dimensions. Its
// slots must turn like evenly spaced pairs of the source, and each block of pairs that it
// folds must hold whole slots.
func (c *Choices) foldable(dims int) error {
	if c.model.HeadDim%dims != 0 {
		return Misuse("%v does not divide head_dim %d, as %v needs", option.RopeDims.Is(dims), c.model.HeadDim, option.Method.Is(mla.MethodTransMLA))
	}
	pairs, step := c.model.HeadDim/2, c.model.HeadDim/dims
	if c.asked.FreqFold%step != 0 || c.asked.FreqFold > 0 && pairs%c.asked.FreqFold != 0 {
		return Misuse("%v must be a multiple of %d, the pairs for each of the rotary key's, and divide the %d of a head", option.FreqFold.Is(c.asked.FreqFold), step, pairs)
	}
	return nil
}

// theta returns the θ' that the method or the request fixes; 0 if the search chooses it.
func (c *Choices) theta() float64 {
	if c.method == mla.MethodTransMLA {
		return c.model.RopeTheta
	}
	return c.asked.Theta
}
