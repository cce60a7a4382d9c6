package heal

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/latent"
)

// newTraining prepares to heal w on all windows of d, of the given lengths in tokens. The
// result is judged on the same windows: none is held out.
func newTraining(ctx context.Context, d data, w *latent.Weights, lengths []int) *training {
	t := &training{data: d, ctx: ctx, layer: latent.New[float32](w), lengths: lengths, rng: rand.New(rand.NewPCG(17, 19))}
	t.largest = largest / math.Sqrt(float64(t.layer.Output.Rows))
	for i := range lengths {
		t.train = append(t.train, i)
	}
	t.held = t.train
	return t
}

// Sample holds windows of attention inputs, and the outputs that the attention should have
// for them, [T × d] each.
type Sample struct{ Inputs, Targets []f32.Matrix }

// Fit returns the relative square error ‖output − target‖² / ‖target‖² that w has on a
// sample, and the one that is left after the given number of steps of healing on the same
// sample (design §9). The latter says how well weights of this form can fit, which is what
// forms are chosen by. It is an error if ctx ends.
func Fit(ctx context.Context, w *latent.Weights, s Sample, steps int) (before, after float64, err error) {
	var lengths []int
	for _, x := range s.Inputs {
		lengths = append(lengths, x.Rows)
	}
	r, err := newTraining(ctx, &s, w, lengths).run(Steps(steps))
	if err != nil {
		return 0, 0, err
	}
	return r.Before, r.After, nil
}

// read returns windows as a batch.
func (s *Sample) read(windows []int) (batch, error) {
	var inputs, targets []f32.Matrix
	for _, i := range windows {
		inputs, targets = append(inputs, s.Inputs[i]), append(targets, s.Targets[i])
	}
	return joined(inputs, targets), nil
}
