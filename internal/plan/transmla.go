package plan

import (
	"fmt"

	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// checkMethod checks the options that go with one method alone, for a rotary key of
// dims dimensions, 0 if that is searched for.
func (c *Choices) checkMethod(dims int) error {
	switch {
	case c.method != mla.MethodTransMLA && c.asked.FreqFold > 0:
		return &UsageError{"--freq-fold goes with --method transmla", ""}
	case c.method != mla.MethodTransMLA:
		return nil
	case c.selected != rope.BySensitivity || c.asked.Threshold > 0:
		return &UsageError{"--rope-select and --rope-threshold do not go with --method transmla: it folds pairs and drops none", ""}
	case c.asked.Theta != 0 && c.asked.Theta != c.model.RopeTheta:
		return &UsageError{fmt.Sprintf("--method transmla keeps the source's rope_theta %.9g", c.model.RopeTheta), "leave --rope-theta out"}
	case dims > 0:
		return c.foldable(dims)
	case len(c.Splits()) == 0:
		return &UsageError{fmt.Sprintf("no rotary key within --cache %d goes with --freq-fold %d", c.asked.Cache, c.asked.FreqFold), "leave --freq-fold out"}
	default:
		return nil
	}
}

// foldable is an error if TransMLA has no rotary key of dims dimensions: its slots
// must turn as pairs do that are evenly spaced, and a block must hold whole slots.
func (c *Choices) foldable(dims int) error {
	if c.model.HeadDim%dims != 0 {
		return &UsageError{fmt.Sprintf("--rope-dims %d does not divide head_dim %d, as --method transmla needs", dims, c.model.HeadDim), ""}
	}
	pairs, step := c.model.HeadDim/2, c.model.HeadDim/dims
	if c.asked.FreqFold%step != 0 || c.asked.FreqFold > 0 && pairs%c.asked.FreqFold != 0 {
		return &UsageError{fmt.Sprintf("--freq-fold %d must be a multiple of %d, the pairs for each of the rotary key's, and divide the %d of a head", c.asked.FreqFold, step, pairs), ""}
	}
	return nil
}

// theta is θ' as far as the method and the options say, 0 if it is searched for.
func (c *Choices) theta() float64 {
	if c.method == mla.MethodTransMLA {
		return c.model.RopeTheta
	}
	return c.asked.Theta
}
