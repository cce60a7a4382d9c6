package search

import (
	"slices"

	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// tried is how many candidates are tried on a sample.
const tried = 6

// try replaces the predicted loss of each candidate by its loss on a sample, after some
// healing if layers will be healed in steps.
func (x *search) try(candidates []candidate) error {
	for i := range candidates {
		candidates[i].loss = 0
	}
	if x.heals() {
		layers := spread(x.Layers, fittedLayers)
		steps := trialSteps(x.Choices.Heal().Least(), x.Layers, len(candidates)*len(layers))
		return x.add(layers, candidates, func(layer *mla.Attention) loss { return x.fitted(layer, steps) })
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

// Healing costs many times what a trial costs. So it is tried on fewer layers and with few
// steps, which together are at most a part of those that layers will be healed in.
const (
	fittedLayers = 3
	fittedSteps  = 40
	fittedPart   = 0.1
)

// trialSteps returns the steps of each of a number of trials, one at least, where each of the
// layers takes that many steps in the end.
func trialSteps(steps, layers, trials int) int {
	most := int(fittedPart * float64(steps*layers) / float64(max(1, trials)))
	return max(1, min(most, fittedSteps))
}

// fitted returns the loss of a layer after some steps of healing.
func (x *search) fitted(layer *mla.Attention, steps int) loss {
	trial, err := layer.NewFitTrial()
	return func(s plan.Sizes) (float64, error) {
		if err != nil {
			return 0, err
		}
		return trial.Loss(x.ctx, x.Choices.Maths(s), steps)
	}
}

// shrinkages are the candidates for η (design §2), the largest first. With many tokens all
// measure the same. With few, some models want a larger one and some a smaller one.
var shrinkages = []float64{1e-1, 1e-2, 1e-3}

// asGood is how many times the loss of the best shrinkage a larger one may have and be
// preferred. The tokens held out are of the same text as the statistics, and the text that
// the model will read is not: it goes more often in directions that were never seen.
const asGood = 1.01

// shrinks reports whether the shrinkage of the statistics is searched for, as it is for this
// program's own method with statistics.
func (x *search) shrinks() bool {
	return x.tries() && x.Choices.Weights() == mla.WeightsCalibrated && x.Choices.Method() == mla.MethodAttention
}

// shrunk adds to s the largest shrinkage that loses hardly more than the best on the sample.
// κ is 1 for all of them, because the best one for each layer is found when the layer is
// converted.
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
