package convert

import (
	"context"

	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// sampledLayers is how many layers a search looks at, evenly spread.
const sampledLayers = 8

// Search finds the sizes that s leaves open: θ', and with only a cache given
// the division between latent and rotary key, and with a threshold the size of
// the rotary key. It minimises the predicted loss of attention output over a
// sample of the layers. Progress is told how many layers were looked at.
func Search(ctx context.Context, m mla.Input, o plan.Options, s plan.Sizes, progress func(done, total int64)) (plan.Sizes, error) {
	if s.Known() {
		return s, nil
	}
	x := &search{Input: m, Options: o, ctx: ctx, progress: progress}
	for k := range min(m.Layers, sampledLayers) {
		x.layers = append(x.layers, k*m.Layers/min(m.Layers, sampledLayers))
	}
	splits := []plan.Sizes{s}
	switch {
	case s.RopeDims == 0 && o.Threshold > 0:
		dims, err := x.thresholdDims()
		if err != nil {
			return s, err
		}
		if splits[0].RopeDims = dims; s.Rank == 0 {
			splits[0].Rank = min(o.Cache-dims, plan.MaxRank(m.Model))
		}
		if splits[0].Rank < 1 {
			return s, &plan.UsageError{What: "the rotary key that --rope-threshold asks for leaves no room for a latent", Tip: "raise --rope-threshold or --cache"}
		}
	case s.RopeDims == 0:
		splits = o.Splits(m.Model)
	}
	return x.best(splits)
}

// search is a search under way.
type search struct {
	mla.Input
	plan.Options
	ctx      context.Context
	progress func(done, total int64)
	layers   []int
}

// candidate is a split with one base, and what it is predicted to lose.
type candidate struct {
	plan.Sizes
	loss float64
}

// each reads the sampled layers one after the other; pass of passes is for the
// progress.
func (x *search) each(pass, passes int, look func(*mla.Attention) error) error {
	for k, n := range x.layers {
		if err := context.Cause(x.ctx); err != nil {
			return err
		}
		layer, err := x.Read(n)
		if err != nil {
			return err
		}
		if err := look(layer); err != nil {
			return err
		}
		if x.progress != nil {
			x.progress(int64(pass*len(x.layers)+k+1), int64(passes*len(x.layers)))
		}
	}
	return nil
}

// thresholdDims returns the size of a rotary key with a slot for every pair
// whose share of the sensitivity, on average over the layers, reaches the
// threshold.
func (x *search) thresholdDims() (int, error) {
	mean := make([]float64, x.HeadDim/2)
	err := x.each(0, 1, func(layer *mla.Attention) error {
		for i, share := range rope.Shares(layer.Sensitivity()) {
			mean[i] += share / float64(len(x.layers))
		}
		return nil
	})
	slots := 0
	for _, ok := range rope.Above(mean, x.Threshold) {
		if ok {
			slots++
		}
	}
	return 2 * slots, err
}

// best returns the split, with its base, of the least predicted loss: first the
// best base for each split, by the rotation it loses, then the best split, by
// rotation and rank together.
func (x *search) best(splits []plan.Sizes) (plan.Sizes, error) {
	passes := 1
	if len(splits) > 1 {
		passes = 2
	}
	chosen, err := x.bases(splits, passes)
	if err != nil {
		return plan.Sizes{}, err
	}
	if passes == 2 {
		err = x.each(1, passes, func(layer *mla.Attention) error {
			for i, c := range chosen {
				if err := context.Cause(x.ctx); err != nil {
					return err
				}
				loss, err := x.rankLoss(layer, c.Sizes)
				if err != nil {
					return err
				}
				chosen[i].loss += loss
			}
			return nil
		})
	}
	return least(chosen).Sizes, err
}

// bases returns each split with its best base, and the weighted loss of
// rotation.
func (x *search) bases(splits []plan.Sizes, passes int) ([]candidate, error) {
	candidates := make([][]candidate, len(splits)) // by split
	for i, s := range splits {
		bases := []float64{s.Theta}
		if s.Theta == 0 {
			bases = rope.Bases(x.RopeTheta, x.HeadDim, s.RopeDims)
		}
		for _, base := range bases {
			candidates[i] = append(candidates[i], candidate{Sizes: plan.Sizes{Rank: s.Rank, RopeDims: s.RopeDims, Theta: base}})
		}
	}
	err := x.each(0, passes, func(layer *mla.Attention) error {
		for _, group := range candidates {
			for i, c := range group {
				if err := context.Cause(x.ctx); err != nil {
					return err
				}
				choice, err := layer.Choose(x.Maths(c.Sizes))
				if err != nil {
					return err
				}
				group[i].loss += layer.RotationLoss(choice)
			}
		}
		return nil
	})
	chosen := make([]candidate, len(candidates))
	for i, group := range candidates {
		chosen[i] = least(group)
	}
	return chosen, err
}

// rankLoss is the predicted loss of a layer at the rank of s.
func (x *search) rankLoss(layer *mla.Attention, s plan.Sizes) (float64, error) {
	choice, err := layer.Choose(x.Maths(s))
	if err != nil {
		return 0, err
	}
	spectrum, err := layer.Spectrum(choice, mla.WeightsAttention)
	if err != nil {
		return 0, err
	}
	return layer.RankLoss(spectrum, s.Rank), nil
}

// least returns the candidate of least loss, the first of equals.
func least(candidates []candidate) candidate {
	best := candidates[0]
	for _, c := range candidates[1:] {
		if c.loss < best.loss {
			best = c
		}
	}
	return best
}
