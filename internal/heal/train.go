package heal

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mha2mla/mha2mla/internal/decoder"
)

// tokensAtOnce is how many tokens, about, a step learns from.
const tokensAtOnce = 1024

// training is the healing of one layer.
type training struct {
	*Healer
	ctx   context.Context
	n     int
	norm  []float32 // γ
	layer *layer[float32]
	basis *whitening // of attention inputs
	queue [][]int    // windows of the steps to come
	rng   *rand.Rand
	error float64 // of what was learned from lately
}

// load reads windows as a batch.
func (t *training) load(windows []int) (batch[float32], error) {
	b, err := t.raw(windows)
	if err == nil && t.basis != nil {
		b.x = t.basis.apply(b.x)
	}
	return b, err
}

// raw reads windows as a batch whose inputs are in their own basis.
func (t *training) raw(windows []int) (batch[float32], error) {
	tokens, d := 0, t.decoder.Hidden
	for _, i := range windows {
		tokens += t.lengths[i]
	}
	b := batch[float32]{x: newMatrix[float32](tokens, d), target: newMatrix[float32](tokens, d)}
	at := 0
	for _, i := range windows {
		x, err := t.converted.Get(i)
		if err != nil {
			return b, err
		}
		want, err := t.source.Get(i)
		if err != nil {
			return b, err
		}
		copy(b.x.data[at:], decoder.RMSNorm(x, t.norm, t.decoder.NormEps).Data)
		for j, v := range want.Data {
			b.target.data[at+j] = v - x.Data[j]
		}
		at += len(x.Data)
		b.lengths = append(b.lengths, t.lengths[i])
	}
	return b, nil
}

// batches parts windows into batches of about tokensAtOnce tokens.
func (h *Healer) batches(windows []int) [][]int {
	var all [][]int
	tokens := tokensAtOnce
	for _, i := range windows {
		if tokens+h.lengths[i] > tokensAtOnce {
			all, tokens = append(all, nil), 0
		}
		all[len(all)-1] = append(all[len(all)-1], i)
		tokens += h.lengths[i]
	}
	return all
}

// heldError is the error on the windows held out.
func (t *training) heldError() (float64, error) {
	off, energy := 0.0, 0.0
	for _, windows := range t.batches(t.held) {
		if err := context.Cause(t.ctx); err != nil {
			return 0, err
		}
		b, err := t.load(windows)
		if err != nil {
			return 0, err
		}
		_, loss := t.layer.forward(b).loss(1)
		off, energy = off+loss, energy+b.energy()
	}
	if energy == 0 {
		return 0, nil // there is nothing to add, as where all W_o is zero
	}
	return off / energy, nil
}

// energy is Σ ‖target‖² over the tokens.
func (b *batch[T]) energy() float64 {
	sum := 0.0
	for _, v := range b.target.data {
		sum += float64(v) * float64(v)
	}
	return sum
}

// Auto heals in rounds, each twice as long as the one before, as long as each takes
// off a part of the held-out error.
const (
	firstRound = 150
	longest    = 2400
	worthwhile = 0.03
)

// run heals the layer, as long as that helps on the tokens held out.
func (t *training) run() (*Result, error) {
	r := &Result{}
	var err error
	if r.Before, err = t.heldError(); err != nil {
		return nil, err
	}
	r.After = r.Before
	if err := t.whiten(); err != nil {
		return nil, err
	}
	defer t.unwhiten()
	if t.steps != Auto {
		_, err := t.round(int(t.steps), r)
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

// round takes steps that grow smaller along half a cosine wave, and takes them back
// if the layer is not better in the end.
func (t *training) round(steps int, r *Result) (better bool, err error) {
	before := t.layer.copy()
	optimiser, gradient := newAdam(t.layer), t.layer.twin()
	for step := range steps {
		if err := t.step(optimiser, gradient, 0.5+0.5*math.Cos(math.Pi*float64(step)/float64(steps))); err != nil {
			return false, err
		}
		t.report(step+1, steps, r.Before)
	}
	after, err := t.heldError()
	if err != nil || !(after < r.After) {
		t.layer = before
		return false, err
	}
	r.After, r.Steps = after, r.Steps+steps
	return true, nil
}

// step learns from one batch.
func (t *training) step(optimiser *adam[float32], gradient *layer[float32], part float64) error {
	if err := context.Cause(t.ctx); err != nil {
		return err
	}
	if len(t.queue) == 0 {
		t.queue = t.batches(t.shuffled())
	}
	b, err := t.load(t.queue[0])
	if err != nil {
		return err
	}
	t.queue = t.queue[1:]
	p := t.layer.forward(b)
	energy := max(b.energy(), math.SmallestNonzeroFloat32)
	descent, loss := p.loss(1 / energy)
	p.backward(descent, gradient)
	optimiser.step(gradient, part)
	if t.error == 0 {
		t.error = loss
	}
	t.error += recent * (loss - t.error)
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

// report tells the progress of a round.
func (t *training) report(step, steps int, before float64) {
	if t.Progress != nil {
		t.Progress(Progress{t.n, t.decoder.Layers, step, steps, before, t.error})
	}
}
