package search

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/mha2mla/mha2mla/internal/budget"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/rope"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// sampledLayers is how many layers a search looks at, evenly spread.
const sampledLayers = 8

// Task says what to search, and with what.
type Task struct {
	mla.Input // its Method and Shrinkage do not matter: those of the choices do
	budget.Budget
	Choices  *plan.Choices
	Held     tokens.Windows          // tokens that are in no statistics, to rehearse on; if nil, there is no rehearsal
	Temp     func() string           // names files for streams that do not fit into memory
	Progress func(done, total int64) // if not nil, is told how many layers were looked at, and will be
}

// Sizes finds the sizes that the choices leave open (design §4): θ', with only a cache given
// the division between latent and rotary key, and with a threshold the size of the rotary
// key. It minimises the predicted loss of attention output over a sample of the layers.
// Where statistics have a sample of activations, the best candidates are compared on it, and
// the best shrinkage on it is found, too. Where there are tokens held out, the loss of the
// whole model on them decides in the end. Errors are those of reading and converting layers,
// and a plan.UsageError if the choices leave no candidate.
func Sizes(ctx context.Context, t Task) (plan.Sizes, error) {
	s := t.Choices.Sizes()
	t.Method = t.Choices.Method()
	x := &search{Task: t, ctx: ctx, layers: spread(t.Layers, sampledLayers)}
	x.plan(s)
	if !s.Known() {
		var err error
		s, err = x.sizes(s)
		if err != nil {
			return s, err
		}
	}
	if x.shrinks() {
		return x.shrunk(s)
	}
	return s, nil
}

// plan counts how many looks at layers it takes to find the sizes that s leaves open.
func (x *search) plan(s plan.Sizes) {
	passes := 0 // over the sampled layers
	if x.shrinks() {
		passes += len(shrinkages)
	}
	if !s.Known() {
		passes++
		if s.RopeDims == 0 {
			passes++
		}
		if x.tries() {
			passes++
		}
		if x.rehearses() {
			x.looks += int64(x.Layers)
		}
	}
	x.looks += int64(passes * len(x.layers))
}

// looked reports one more look at a layer.
func (x *search) looked() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.done++
	if x.Progress != nil {
		x.Progress(min(x.done, x.looks), x.looks)
	}
}

// sizes finds the sizes that s leaves open.
func (x *search) sizes(s plan.Sizes) (plan.Sizes, error) {
	splits := []plan.Sizes{s}
	switch {
	case s.RopeDims == 0 && x.Choices.Threshold() > 0:
		dims, err := x.thresholdDims()
		if err != nil {
			return s, err
		}
		splits[0].RopeDims = dims
		if s.Rank == 0 {
			splits[0].Rank = x.Choices.Latent(x.Choices.Cache() - dims)
		}
		if splits[0].Rank < 1 {
			return s, plan.Misuse("the rotary key that %v asks for leaves no room for a latent", option.RopeThreshold).Try("raise %v or %v", option.RopeThreshold, option.Cache)
		}
	case s.RopeDims == 0:
		splits = x.Choices.Splits()
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
	Task
	ctx    context.Context
	layers []int // numbers of the sampled layers

	mu          sync.Mutex
	done, looks int64 // looks at layers, so far and in all
}

// tries reports whether candidates are tried on a sample of activations.
func (x *search) tries() bool { return x.Stats != nil && x.Choices.Form() == layout.FormDeepseek }

// candidate is a division of the cache with one base, and its loss as far as it is known.
type candidate struct {
	plan.Sizes
	loss float64
}

// over returns the sum of what look returns for each of some layers.
func (x *search) over(layers []int, look func(*mla.Attention) ([]float64, error)) ([]float64, error) {
	said := make([][]float64, len(layers))
	need := budget.LayerMemory(x.Shape(), mla.Options{}, x.Stats != nil)
	err := x.Budget.Each(x.ctx, len(layers), need, func(ctx context.Context, k int) error {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		layer, err := x.Read(layers[k])
		if err == nil {
			said[k], err = look(layer)
		}
		if err != nil {
			return mla.Explain(layers[k], err)
		}
		x.looked()
		return nil
	})
	if err != nil {
		return nil, err
	}
	sums := said[0]
	for _, more := range said[1:] { // in the order of the layers, so that rounding is always the same
		for i, v := range more {
			sums[i] += v
		}
	}
	return sums, nil
}

// thresholdDims returns the size dr of a rotary key with a slot for every pair whose share of
// the sensitivity, on average over the layers, reaches the threshold (design §4).
func (x *search) thresholdDims() (int, error) {
	mean, err := x.over(x.layers, func(layer *mla.Attention) ([]float64, error) {
		return rope.Shares(layer.Sensitivity()), nil
	})
	if err != nil {
		return 0, err
	}
	slots := 0
	for i := range mean {
		mean[i] /= float64(len(x.layers))
	}
	for _, ok := range rope.Above(mean, x.Choices.Threshold()) {
		if ok {
			slots++
		}
	}
	return 2 * slots, nil
}

// best returns the split, with its base and scaling, of the least loss. It compares the bases
// of a split by the predicted loss of rotation, and splits by the predicted loss of rotation
// and rank together. Where there is a sample of activations, it tries the best few on it.
// Where there are tokens held out, it rehearses the best of these on them. The last measure
// decides.
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
		return plan.Sizes{}, plan.Misuse("%v finds no slot to scale", option.RopeScaling.Is(plan.ScalingYarn)).Try("leave it out, or raise %v", option.RopeDims)
	}
	sortByLoss(chosen)
	if tries {
		chosen = chosen[:min(len(chosen), tried)]
		if err := x.try(chosen); err != nil {
			return plan.Sizes{}, err
		}
		sortByLoss(chosen)
	}
	if x.rehearses() {
		return x.rehearsed(chosen)
	}
	return chosen[0].Sizes, nil
}

// scaledBases is how many bases of a split are tried at least if the source's frequencies are
// scaled. Predictions cannot tell well which bases suit scaled frequencies: on a small
// checkpoint at half the cache, trying more takes the divergence from 0.038 to 0.017.
const scaledBases = 4

// sortByLoss sorts candidates, the least loss first; equals stay as they are.
func sortByLoss(candidates []candidate) {
	slices.SortStableFunc(candidates, func(a, b candidate) int { return cmp.Compare(a.loss, b.loss) })
}

// bases returns candidates: each split with its best bases, at most each of them, and their
// predicted loss of rotation.
func (x *search) bases(splits []plan.Sizes, each int) ([]candidate, error) {
	var all []candidate
	first := []int{0} // index of the first candidate of each split, and the end
	for _, s := range splits {
		for _, key := range x.Choices.Keys(s) {
			all = append(all, candidate{Sizes: key})
		}
		first = append(first, len(all))
	}
	err := x.add(x.layers, all, func(layer *mla.Attention) loss {
		return func(s plan.Sizes) (float64, error) {
			choice, err := layer.Choose(x.Choices.Maths(s))
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

// ranks adds to each candidate its predicted loss by the rank.
func (x *search) ranks(candidates []candidate) error {
	return x.add(x.layers, candidates, func(layer *mla.Attention) loss {
		return func(s plan.Sizes) (float64, error) { return x.rankLoss(layer, s) }
	})
}

// loss returns the loss of a layer at the given sizes, relative to the energy of its output.
type loss func(plan.Sizes) (float64, error)

// add adds to each candidate its loss over some layers.
func (x *search) add(layers []int, candidates []candidate, of func(*mla.Attention) loss) error {
	sums, err := x.over(layers, func(layer *mla.Attention) ([]float64, error) {
		loss, losses := of(layer), make([]float64, len(candidates))
		for i, c := range candidates {
			if err := context.Cause(x.ctx); err != nil {
				return nil, err
			}
			var err error
			losses[i], err = loss(c.Sizes)
			if err != nil {
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

// rankLoss returns the predicted loss of a layer by the rank of s.
func (x *search) rankLoss(layer *mla.Attention, s plan.Sizes) (float64, error) {
	choice, err := layer.Choose(x.Choices.Maths(s))
	if err != nil {
		return 0, err
	}
	spectrum, err := layer.Spectrum(choice, mla.WeightsAttention)
	if err != nil {
		return 0, err
	}
	return layer.RankLoss(spectrum, s.Rank), nil
}
