package convert

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// sampledLayers is how many layers a search looks at, evenly spread.
const sampledLayers = 8

// Search finds the sizes that the choices leave open: θ', and with only a cache given
// the division between latent and rotary key, and with a threshold the size of
// the rotary key. It minimises the predicted loss of attention output over a
// sample of the layers. Where statistics have a sample of activations, it also finds
// the shrinkage that is best on it. Progress is told how many layers were looked at.
func Search(ctx context.Context, m mla.Input, c *plan.Choices, r Resources, progress func(done, total int64)) (plan.Sizes, error) {
	s := c.Sizes()
	m.Method = c.Method()
	x := &search{Input: m, choices: c, Resources: r, ctx: ctx, progress: progress}
	x.layers = spread(m.Layers, sampledLayers)
	x.plan(s)
	if !s.Known() {
		var err error
		if s, err = x.sizes(s); err != nil {
			return s, err
		}
	}
	if x.shrinks() {
		return x.shrunk(s)
	}
	return s, nil
}

// plan counts the looks at the layers that finding what s leaves open takes.
func (x *search) plan(s plan.Sizes) {
	if x.shrinks() {
		x.passes += len(shrinkages)
	}
	if s.Known() {
		return
	}
	x.passes++
	if s.RopeDims == 0 {
		x.passes++
	}
	if x.tries() {
		x.passes++
	}
}

// sizes finds the sizes that s leaves open.
func (x *search) sizes(s plan.Sizes) (plan.Sizes, error) {
	splits := []plan.Sizes{s}
	switch {
	case s.RopeDims == 0 && x.choices.Threshold() > 0:
		dims, err := x.thresholdDims()
		if err != nil {
			return s, err
		}
		if splits[0].RopeDims = dims; s.Rank == 0 {
			splits[0].Rank = min(x.choices.Cache()-dims, plan.MaxRank(x.Model))
		}
		if splits[0].Rank < 1 {
			return s, &plan.UsageError{What: "the rotary key that --rope-threshold asks for leaves no room for a latent", Tip: "raise --rope-threshold or --cache"}
		}
	case s.RopeDims == 0:
		splits = x.choices.Splits()
	}
	return x.best(splits)
}

// spread returns at most most of the numbers below n, evenly spread.
func spread(n, most int) []int {
	var chosen []int
	for k := range min(n, most) {
		chosen = append(chosen, k*n/min(n, most))
	}
	return chosen
}

// search is a search under way.
type search struct {
	mla.Input
	Resources
	choices  *plan.Choices
	ctx      context.Context
	progress func(done, total int64)
	layers   []int

	pass, passes int // looks at the layers: those before this one, and all
}

// tries reports whether candidates are tried on a sample of activations.
func (x *search) tries() bool { return x.Stats != nil && x.choices.Form() == layout.FormDeepseek }

// candidate is a split with one base, and what it is predicted to lose.
type candidate struct {
	plan.Sizes
	loss float64
}

// over adds up, over the sampled layers, what look says of each.
func (x *search) over(look func(*mla.Attention) ([]float64, error)) ([]float64, error) {
	said := make([][]float64, len(x.layers))
	var mu sync.Mutex
	seen := int64(x.pass * len(x.layers))
	x.pass++
	need := LayerMemory(x.Shape(), mla.Options{}, x.Stats != nil)
	err := x.Resources.each(x.ctx, len(x.layers), need, func(ctx context.Context, k int) error {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		layer, err := x.Read(x.layers[k])
		if err == nil {
			said[k], err = look(layer)
		}
		if err != nil {
			return mla.Explain(x.layers[k], err)
		}
		mu.Lock()
		defer mu.Unlock()
		if seen++; x.progress != nil {
			x.progress(seen, int64(x.passes*len(x.layers)))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	sums := said[0]
	for _, more := range said[1:] { // in the order of the layers, whichever came first
		for i, v := range more {
			sums[i] += v
		}
	}
	return sums, nil
}

// thresholdDims returns the size of a rotary key with a slot for every pair
// whose share of the sensitivity, on average over the layers, reaches the
// threshold.
func (x *search) thresholdDims() (int, error) {
	mean, err := x.over(func(layer *mla.Attention) ([]float64, error) {
		return rope.Shares(layer.Sensitivity()), nil
	})
	if err != nil {
		return 0, err
	}
	slots := 0
	for i := range mean {
		mean[i] /= float64(len(x.layers))
	}
	for _, ok := range rope.Above(mean, x.choices.Threshold()) {
		if ok {
			slots++
		}
	}
	return 2 * slots, nil
}

// best returns the split, with its base and scaling, of the least loss. The bases of each
// split are told apart by the rotation that is predicted to be lost, splits by
// what rotation and rank lose together. Where there is a sample of activations,
// the best few are tried on it, and what is measured decides.
func (x *search) best(splits []plan.Sizes) (plan.Sizes, error) {
	basesEach, tries := 1, x.tries()
	if tries {
		basesEach = tried/len(splits) + 1
	}
	if tries && x.Rope != nil {
		basesEach = max(basesEach, scaledBases)
	}
	chosen, err := x.bases(splits, basesEach)
	if err == nil && len(splits) > 1 {
		err = x.ranks(chosen)
	}
	if err != nil {
		return plan.Sizes{}, err
	}
	if len(chosen) == 0 {
		return plan.Sizes{}, &plan.UsageError{What: "--rope-scaling yarn finds no slot to scale", Tip: "leave it out, or raise --rope-dims"}
	}
	sortByLoss(chosen)
	if tries {
		chosen = chosen[:min(len(chosen), tried)]
		if err := x.try(chosen); err != nil {
			return plan.Sizes{}, err
		}
		sortByLoss(chosen)
	}
	return chosen[0].Sizes, nil
}

// scaledBases is how many bases of a split are tried at least if the source's
// frequencies are scaled. Predictions tell less well between bases that scaling fits
// and those it does not: on a small checkpoint at half the cache that takes the
// divergence from 0.038 to 0.017.
const scaledBases = 4

// sortByLoss sorts candidates, the least loss first; equals stay as they are.
func sortByLoss(candidates []candidate) {
	slices.SortStableFunc(candidates, func(a, b candidate) int { return cmp.Compare(a.loss, b.loss) })
}

// bases returns each split with its best bases, so many each, and the loss of
// rotation.
func (x *search) bases(splits []plan.Sizes, each int) ([]candidate, error) {
	var all []candidate
	first := []int{0} // of each split, and the end
	for _, s := range splits {
		for _, key := range x.choices.Keys(s) {
			all = append(all, candidate{Sizes: key})
		}
		first = append(first, len(all))
	}
	err := x.add(all, func(layer *mla.Attention) loss {
		return func(s plan.Sizes) (float64, error) {
			choice, err := layer.Choose(x.choices.Maths(s))
			if err != nil {
				return 0, err
			}
			return layer.RotationLoss(choice), nil
		}
	})
	var chosen []candidate
	for i := range splits {
		group := all[first[i]:first[i+1]]
		sortByLoss(group)
		chosen = append(chosen, group[:min(each, len(group))]...)
	}
	return chosen, err
}

// ranks adds the loss to the rank.
func (x *search) ranks(candidates []candidate) error {
	return x.add(candidates, func(layer *mla.Attention) loss {
		return func(s plan.Sizes) (float64, error) { return x.rankLoss(layer, s) }
	})
}

// loss is what a layer loses at some sizes.
type loss func(plan.Sizes) (float64, error)

// add adds to each candidate its loss over the sampled layers.
func (x *search) add(candidates []candidate, of func(*mla.Attention) loss) error {
	sums, err := x.over(func(layer *mla.Attention) ([]float64, error) {
		loss, losses := of(layer), make([]float64, len(candidates))
		for i, c := range candidates {
			if err := context.Cause(x.ctx); err != nil {
				return nil, err
			}
			var err error
			if losses[i], err = loss(c.Sizes); err != nil {
				return nil, err
			}
		}
		return losses, nil
	})
	if err != nil {
		return err
	}
	for i, v := range sums {
		candidates[i].loss += v
	}
	return nil
}

// rankLoss is the predicted loss of a layer at the rank of s.
func (x *search) rankLoss(layer *mla.Attention, s plan.Sizes) (float64, error) {
	choice, err := layer.Choose(x.choices.Maths(s))
	if err != nil {
		return 0, err
	}
	spectrum, err := layer.Spectrum(choice, mla.WeightsAttention)
	if err != nil {
		return 0, err
	}
	return layer.RankLoss(spectrum, s.Rank), nil
}
