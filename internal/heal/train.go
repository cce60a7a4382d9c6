package heal

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/mha2mla/mha2mla/internal/decoder"
)

// tokensAtOnce is how many tokens, about, a step learns from.
const tokensAtOnce = 1024

// training is the healing of one layer.
type training struct {
	*Healer
	ctx    context.Context
	n      int
	norm   []float32 // γ
	layer  *layer[float32]
	energy float64 // mean of ‖target‖² over the tokens held out
}

// load reads windows as a batch.
func (t *training) load(windows []int) (batch[float32], error) {
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
func (t *training) batches(windows []int) [][]int {
	var all [][]int
	tokens := tokensAtOnce
	for _, i := range windows {
		if tokens+t.lengths[i] > tokensAtOnce {
			all, tokens = append(all, nil), 0
		}
		all[len(all)-1] = append(all[len(all)-1], i)
		tokens += t.lengths[i]
	}
	return all
}

// heldError is the error on the windows held out.
func (t *training) heldError() (float64, error) {
	off, energy := 0.0, 0.0
	for _, windows := range t.batches(t.held) {
		b, err := t.load(windows)
		if err != nil {
			return 0, err
		}
		_, loss := t.layer.forward(b).loss(1)
		off += loss
		for _, v := range b.target.data {
			energy += float64(v) * float64(v)
		}
	}
	t.energy = energy
	return off / energy, nil
}

// run heals the layer, which stays as it is if that does not help.
func (t *training) run() (*Result, error) {
	before, err := t.heldError()
	if err != nil {
		return nil, err
	}
	start := t.layer.twin()
	for k, tensor := range start.tensors() {
		tensor.copyFrom(t.layer.tensors()[k].matrix)
	}
	steps := int(t.steps)
	optimiser, g := newAdam(t.layer), t.layer.twin()
	rng := rand.New(rand.NewPCG(uint64(t.n), 17))
	var queue [][]int
	for step := range steps {
		if err := context.Cause(t.ctx); err != nil {
			return nil, err
		}
		if len(queue) == 0 {
			shuffled := append([]int(nil), t.train...)
			rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			queue = t.batches(shuffled)
		}
		b, err := t.load(queue[0])
		if err != nil {
			return nil, err
		}
		queue = queue[1:]
		p := t.layer.forward(b)
		descent, _ := p.loss(1 / float64(b.x.rows))
		p.backward(descent, g)
		optimiser.step(g, 0.5+0.5*math.Cos(math.Pi*float64(step)/float64(steps)))
	}
	after, err := t.heldError()
	if err != nil {
		return nil, err
	}
	return &Result{before, after, steps}, nil
}

// finish takes both streams through the layer.
func (t *training) finish(source *decoder.Layer) error {
	for i := range t.lengths {
		b, err := t.load([]int{i})
		if err != nil {
			return err
		}
		x, err := t.converted.Get(i)
		if err != nil {
			return err
		}
		decoder.Add(x, decoder.Matrix(single(t.layer.forward(b).output)))
		decoder.Add(x, source.MLP(x))
		if err := t.converted.Put(i, x); err != nil {
			return err
		}
		if x, err = t.source.Get(i); err != nil {
			return err
		}
		decoder.Add(x, source.MLP(x))
		if err := t.source.Put(i, x); err != nil {
			return err
		}
	}
	return nil
}
