package distill

import (
	"context"
	"math"
	"time"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/latent"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// Distiller trains the latent attention of all layers of a model together.
type Distiller struct {
	// Progress, if not nil, is told of every step.
	Progress func(Progress)

	Model   *family.Model  // the source
	Windows tokens.Windows // to learn from; some are held out
	Steps   int

	// Keeper, if not nil, keeps the state of the training every Every, and in the end.
	Keeper Keeper
	Every  time.Duration
}

// Keeper keeps the state of a training for a later one of the same kind to go on from.
type Keeper interface {
	// Keep keeps the state after that many steps. State returns that of layer n.
	Keep(step int, state func(n int) []byte) error
	// Kept returns what was kept last, and after how many steps that was: the states of all
	// layers, which have the given sizes in bytes. It is after 0 steps if there is none that is
	// as it was kept.
	Kept(sizes []int64) (step int, states [][]byte, err error)
}

// Progress says how far the training has come, and what the divergence on the tokens learned
// from is lately, in nats per token.
type Progress struct {
	Step, Steps int
	KL          float64
}

// Result says what the training has won: the divergence KL(source‖converted) in nats per token,
// on tokens held out.
type Result struct {
	Learned int     `json:"tokens_learned_from"`
	Tokens  int     `json:"tokens_held_out"`
	Before  float64 `json:"kl_before"`
	After   float64 `json:"kl_after"`
	Steps   int     `json:"steps"` // how many were kept; 0 if they did not help
}

// training is the training of layers under way.
type training struct {
	*Distiller
	decoder     forward.Decoder
	train, held []int // indices of the windows to learn from and of those held out
	head        *head
	layers      []*latent.Layer[float32]
	optimisers  []*latent.Soap[float32]
}

// Train trains layers, the latent attention of every layer of the model, in place. What does
// not help on the tokens held out is taken back. There must be two windows or more. Errors are
// those of reading the weights, and the cause of ctx.
func (d *Distiller) Train(ctx context.Context, layers []*latent.Layer[float32]) (*Result, error) {
	t, err := d.begin(layers)
	if err != nil {
		return nil, err
	}
	return t.run(ctx)
}

// begin prepares to train layers.
func (d *Distiller) begin(layers []*latent.Layer[float32]) (*training, error) {
	t := &training{Distiller: d, decoder: forward.Decoder{Model: d.Model}, layers: layers}
	for i := range d.Windows {
		if d.Windows.Held(i) {
			t.held = append(t.held, i)
		} else {
			t.train = append(t.train, i)
		}
	}
	for _, l := range layers {
		t.optimisers = append(t.optimisers, latent.NewSoap(l))
	}
	var err error
	t.head, err = newHead(t.decoder)
	return t, err
}

// tokensAtOnce is about how many tokens a step learns from. A window that is longer is a step
// by itself.
const tokensAtOnce = 1024

// Tokens returns how many tokens steps on windows read, those read again included.
func Tokens(steps int, windows tokens.Windows) int {
	return steps * max(tokensAtOnce, windows.Longest())
}

// largest is the size of the largest step, relative to that of latent.Soap, in a model of hidden
// size 1 and one layer. Steps shrink with the roots of both: what the changes of a row add up to
// grows with the root of their number, beside what they had added up to, and what layers change adds
// up like noise. A model of 5 layers and hidden size 64 learns as well with steps half as large
// again, and with those of 2/3.
const largest = 8

// warming is the number of steps in which the step size rises, because the first gradients say
// little of how large gradients are.
const warming = 8

// size returns the size of a step, relative to that of latent.Soap.
func (t *training) size(step int) float64 {
	rise := min(1, float64(step+1)/float64(max(1, min(warming, t.Steps/4))))
	fall := 0.5 + 0.5*math.Cos(math.Pi*float64(step)/float64(t.Steps))
	return largest / math.Sqrt(float64(t.Model.Hidden*t.Model.Layers)) * rise * fall
}

// recent is the weight of the last step in the divergence that progress shows.
const recent = 0.05

// run trains, and takes back what does not help on the tokens held out.
func (t *training) run(ctx context.Context) (*Result, error) {
	r := &Result{}
	for _, i := range t.held {
		r.Tokens += len(t.Windows[i])
	}
	r.Learned = t.Windows.Tokens() - r.Tokens
	var err error
	r.Before, err = t.heldKL(ctx)
	if err != nil {
		return nil, err
	}
	before := make([]*latent.Layer[float32], len(t.layers))
	for n, l := range t.layers {
		before[n] = l.Copy()
	}
	if err := t.learn(ctx, r.Before); err != nil {
		return nil, err
	}
	r.After, r.Steps = r.Before, t.Steps
	after, err := t.heldKL(ctx)
	if err != nil {
		return nil, err
	}
	if after < r.Before {
		r.After = after
		return r, nil
	}
	for n, l := range before {
		*t.layers[n] = *l
	}
	r.Steps = 0
	return r, nil
}

// learn takes the steps that an earlier training has not taken. Progress shows the running mean
// of the divergence, which begins at kl.
func (t *training) learn(ctx context.Context, kl float64) error {
	first, err := t.resume()
	if err != nil {
		return err
	}
	order, kept := newOrder(t.train, t.Windows), time.Now()
	for range first {
		order.next()
	}
	for step := first; step < t.Steps; step++ {
		now, err := t.step(ctx, order.next(), t.size(step))
		if err != nil {
			return err
		}
		kl += recent * (now - kl)
		if t.Progress != nil {
			t.Progress(Progress{step + 1, t.Steps, kl})
		}
		if t.Keeper != nil && (step+1 == t.Steps || time.Since(kept) >= t.Every) {
			if err := t.Keeper.Keep(step+1, func(n int) []byte { return t.optimisers[n].Encode() }); err != nil {
				return err
			}
			kept = time.Now()
		}
	}
	return nil
}

// resume sets the layers to what an earlier training has kept, and returns after how many
// steps that was.
func (t *training) resume() (steps int, err error) {
	if t.Keeper == nil {
		return 0, nil
	}
	var sizes []int64
	for _, a := range t.optimisers {
		sizes = append(sizes, a.EncodedBytes())
	}
	steps, states, err := t.Keeper.Kept(sizes)
	if err != nil {
		return 0, err
	}
	for n, state := range states {
		if err := t.optimisers[n].Decode(state, steps); err != nil {
			return 0, err
		}
	}
	return steps, nil
}

// heldKL returns the divergence on the tokens held out.
func (t *training) heldKL(ctx context.Context) (float64, error) {
	sum, count := 0.0, 0
	for _, i := range t.held {
		l, err := t.lost(ctx, []int{i}, false)
		if err != nil {
			return 0, err
		}
		sum, count = sum+l.kl*float64(l.out.Rows), count+l.out.Rows
	}
	return sum / float64(count), nil
}
