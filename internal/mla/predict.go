package mla

import (
	"github.com/mha2mla/mha2mla/internal/lowrank"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Sensitivity returns S(h,i) of design §4, [H][J].
func (a *Attention) Sensitivity() [][]float64 { return rope.Sensitivity(a.moments, a.Frequencies) }

// RotationShare returns the predicted share, from 0 to 1, of the layer's rotation that c
// gives up, with heads weighted by the energy of their output (design §4).
func (a *Attention) RotationShare(c Choice) float64 {
	loss, energy := 0.0, 0.0
	shares, _ := c.Losses()
	for h, lost := range shares {
		loss += lost * a.Stats.OutputEnergy(h)
		energy += a.Stats.OutputEnergy(h)
	}
	return ratio(loss, energy)
}

// dataFreeRotation is the part of its output that a layer is predicted to lose with all of
// its rotation when nothing is known of its attention. It was chosen on five small
// checkpoints at 5/16, 1/2 and 3/4 of the cache. The divisions of a cache that are found
// with it have 1.2 times the divergence of the best one of a grid on average, and 2.4 times
// at most. Values from 0.5 to 1 are as good.
const dataFreeRotation = 0.7

// RotationLoss returns the predicted loss of attention output by the rotation that c gives
// up, relative to the output's energy: Σ_h σ_h/D times the variance of the error of √D·score
// (design §2 and §4).
func (a *Attention) RotationLoss(c Choice) float64 {
	if !a.Stats.Calibrated() {
		return dataFreeRotation * a.RotationShare(c)
	}
	loss := 0.0
	_, scoreErrors := c.Losses()
	for h, sigma := range a.Stats.ScoreWeights() {
		loss += sigma * scoreErrors[h] / float64(a.Stats.HeadDim)
	}
	return ratio(loss, a.Stats.Energy())
}

// RankLoss returns the predicted loss of attention output at rank r, relative to the output's
// energy (design §5). Spectrum must be that of WeightsAttention or WeightsCalibrated.
func (a *Attention) RankLoss(spectrum []float64, r int) float64 {
	return ratio(lowrank.Loss(spectrum, r), a.Stats.Energy())
}

// ratio returns a/b, or 0 if b is 0.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// Spectrum returns by how much each rank lowers the squared loss of the stack under the
// measure w, in descending order, once c has taken the rotation out of it. Errors are those
// of lowrank.Spectrum.
func (a *Attention) Spectrum(c Choice, w Weights) ([]float64, error) { return c.spectrum(a, w) }
