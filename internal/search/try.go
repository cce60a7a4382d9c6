package search

import (
	"slices"

	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// tried is how many candidates are tried on a sample.
const tried = 6

// try replaces the predicted loss by that on a sample, after some healing if layers
// will be healed.
func (x *search) try(candidates []candidate) error {
	for i := range candidates {
		candidates[i].loss = 0
	}
	if x.heals() {
		return x.add(spread(x.Layers, fittedLayers), candidates, x.fitted)
	}
	return x.add(x.layers, candidates, func(layer *mla.Attention) loss {
		trial, err := layer.NewTrial()
		return func(s plan.Sizes) (float64, error) {
			if err != nil {
				return 0, err
			}
			return trial.Loss(x.Choices.Maths(s))
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
	if h := x.Choices.Heal(); h != heal.Auto {
		steps = min(steps, int(h))
	}
	return func(s plan.Sizes) (float64, error) {
		if err != nil {
			return 0, err
		}
		return trial.Loss(x.ctx, x.Choices.Maths(s), steps)
	}
}

// shrinkages are those to choose from, the largest first. Where there are tokens enough they
// measure the same; of few tokens, some models want more and some less.
var shrinkages = []float64{1e-1, 1e-2, 1e-3}

// asGood is how much more a larger shrinkage may lose than the best to be preferred. What is
// held out is of the same text as the statistics, and what the model will read is not: there
// more of what was never seen occurs.
const asGood = 1.01

// shrinks reports whether the shrinkage of the statistics is chosen: where this program's
// own method goes by data.
func (x *search) shrinks() bool {
	return x.tries() && x.Choices.Weights() == mla.WeightsCalibrated && x.Choices.Method() == mla.MethodAttention
}

// shrunk adds to s the largest shrinkage that loses hardly more than the best on the sample.
// Errors of keys count alike for all of them: what is best for each layer is found when it
// is converted.
func (x *search) shrunk(s plan.Sizes) (plan.Sizes, error) {
	maths := x.Choices.Maths(s)
	maths.KeyWeight = 1
	var losses []float64
	for _, shrinkage := range shrinkages {
		x.Shrinkage = shrinkage
		loss, err := x.over(x.layers, func(layer *mla.Attention) ([]float64, error) {
			trial, err := layer.NewTrial()
			if err != nil {
				return nil, err
			}
			loss, err := trial.Loss(maths)
			return []float64{loss}, err
		})
		if err != nil {
			return s, err
		}
		losses = append(losses, loss[0])
	}
	least := slices.Min(losses)
	s.Shrinkage = shrinkages[slices.IndexFunc(losses, func(loss float64) bool { return loss <= asGood*least })]
	return s, nil
}
