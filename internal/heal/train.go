package heal

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mha2mla/mha2mla/internal/latent"
)

// tokensAtOnce is about how many tokens a step learns from.
const tokensAtOnce = 1024

// largest is the size of the first step, relative to that of latent.Soap, in a model of hidden
// size 1. Steps shrink with its root, because what the changes of a row add up to grows with the
// root of their number (Yang et al. 2022). In layers 5, 12 and 20 of SmolLM2-135M at half the cache,
// on the source's own stream, 150 steps take the error of the output on windows held out from 0.068,
// 0.092 and 0.038 to 0.038, 0.038 and 0.024; steps half as large again come to the same. Adam in no
// bases but the tensors' own leaves 0.047, 0.048 and 0.027 at its best.
const largest = 16

// data gives the windows that a layer learns from: attention inputs, and what the attention
// should add to the residual stream.
type data interface {
	// read returns windows as a batch.
	read(windows []int) (batch, error)
}

// training is the healing of one layer.
type training struct {
	data
	ctx         context.Context
	layer       *latent.Layer[float32]
	lengths     []int   // of the windows, in tokens
	train, held []int   // indices of the windows to learn from, and of those that judge
	largest     float64 // size of the first step, relative to that of latent.Soap
	progress    func(step, steps int, before, now float64)

	queue  [][]int // the windows of each step to come
	rng    *rand.Rand
	lately float64 // running mean of the error on the tokens learned from
}

// batches divides windows into batches of at most most tokens. A window that is longer is
// a batch by itself.
func (t *training) batches(windows []int, most int) [][]int {
	var all [][]int
	tokens := most
	for _, i := range windows {
		if tokens+t.lengths[i] > most {
			all, tokens = append(all, nil), 0
		}
		all[len(all)-1] = append(all[len(all)-1], i)
		tokens += t.lengths[i]
	}
	return all
}

// heldError returns the relative error ‖output − target‖² / ‖target‖² on the windows held
// out.
func (t *training) heldError() (float64, error) {
	off, energy := 0.0, 0.0
	for _, windows := range t.batches(t.held, tokensAtOnce) {
		if err := context.Cause(t.ctx); err != nil {
			return 0, err
		}
		b, err := t.read(windows)
		if err != nil {
			return 0, err
		}
		_, loss := b.loss(t.layer.Forward(b.Batch).Output, 1)
		off, energy = off+loss, energy+b.energy()
	}
	if energy == 0 {
		return 0, nil // the targets are zero, as where all of W_o is
	}
	return off / energy, nil
}

// Auto heals in rounds, each twice as long as the one before, while each takes the part
// worthwhile off the held-out error.
const (
	firstRound = 150  // steps
	longest    = 2400 // steps of the last round
	worthwhile = 0.03
)

// run heals the layer in the given way. A change that does not help on the tokens held out
// is taken back.
func (t *training) run(steps Steps) (*Result, error) {
	r := &Result{}
	var err error
	r.Before, err = t.heldError()
	if err != nil {
		return nil, err
	}
	r.After = r.Before
	if steps == Output {
		err := t.fitOutput(r)
		if t.progress != nil {
			t.progress(1, 1, r.Before, r.After)
		}
		return r, err
	}
	if steps != Auto {
		_, err := t.round(int(steps), r)
		return r, err
	}
	for steps := firstRound; steps <= longest; steps *= 2 {
		before := r.After
		if better, err := t.round(steps, r); err != nil || !better || r.After > (1-worthwhile)*before {
			return r, err
		}
	}
	return r, nil
}

// round takes steps whose size falls along half a cosine wave, and takes them back if the
// layer is not better on the tokens held out in the end. It reports whether it is.
func (t *training) round(steps int, r *Result) (better bool, err error) {
	before := t.layer.Copy()
	optimiser, gradient := latent.NewSoap(t.layer), t.layer.Twin()
	for step := range steps {
		if err := t.step(optimiser, gradient, t.largest*(0.5+0.5*math.Cos(math.Pi*float64(step)/float64(steps)))); err != nil {
			return false, err
		}
		if t.progress != nil {
			t.progress(step+1, steps, r.Before, t.lately)
		}
	}
	after, err := t.heldError()
	if err != nil {
		return false, err
	}
	if !(after < r.After) {
		t.layer, r.TakenBack = before, &TakenBack{steps, t.lately, after}
		return false, nil
	}
	r.After, r.Steps = after, r.Steps+steps
	return true, nil
}

// step learns from the next batch of about tokensAtOnce tokens. When all windows were
// learned from, it begins with them again in another order. Part is the size of the step,
// relative to the largest.
func (t *training) step(optimiser *latent.Soap[float32], gradient *latent.Layer[float32], part float64) error {
	if err := context.Cause(t.ctx); err != nil {
		return err
	}
	if len(t.queue) == 0 {
		t.queue = t.batches(t.shuffled(), tokensAtOnce)
	}
	b, err := t.read(t.queue[0])
	if err != nil {
		return err
	}
	t.queue = t.queue[1:]
	p := t.layer.Forward(b.Batch)
	energy := max(b.energy(), math.SmallestNonzeroFloat32)
	descent, loss := b.loss(p.Output, 1/energy)
	p.Backward(descent, gradient)
	optimiser.Step(gradient, part)
	if t.lately == 0 {
		t.lately = loss
	}
	t.lately += recent * (loss - t.lately)
	return nil
}

// shuffled returns the windows to learn from in a random order.
func (t *training) shuffled() []int {
	order := slices.Clone(t.train)
	t.rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	return order
}

// recent is the weight of the last step in the error that progress shows.
const recent = 0.1
