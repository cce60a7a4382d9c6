package convert

import (
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// tried is how many candidates are tried on a sample.
const tried = 6

// try replaces the predicted loss by that on a sample, after some healing if layers
// will be healed.
func (x *search) try(candidates []candidate, passes int) error {
	for i := range candidates {
		candidates[i].loss = 0
	}
	if x.Heal != heal.None && x.Heal != heal.Output {
		fewer := *x
		fewer.layers = spread(x.Layers, fittedLayers)
		return fewer.add(candidates, passes-1, passes, x.fitted)
	}
	return x.add(candidates, passes-1, passes, func(layer *mla.Attention) loss {
		trial, err := layer.NewTrial()
		return func(s plan.Sizes) (float64, error) {
			if err != nil {
				return 0, err
			}
			return trial.Loss(x.Maths(s))
		}
	})
}

// Healing costs many times what trying costs: it is tried on fewer layers and with
// few steps, no more than there will be.
const (
	fittedLayers = 3
	fittedSteps  = 40
)

// fitted returns the loss of a layer after some healing.
func (x *search) fitted(layer *mla.Attention) loss {
	trial, err := layer.NewFitTrial()
	steps := fittedSteps
	if x.Heal != heal.Auto {
		steps = min(steps, int(x.Heal))
	}
	return func(s plan.Sizes) (float64, error) {
		if err != nil {
			return 0, err
		}
		return trial.Loss(x.ctx, x.Maths(s), steps)
	}
}
