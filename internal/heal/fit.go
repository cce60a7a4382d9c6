package heal

import (
	"context"
	"math/rand/v2"

	"github.com/mha2mla/mha2mla/internal/f32"
)

// newTraining prepares to heal w on all windows, none held out.
func newTraining(ctx context.Context, d data, w *Weights, lengths []int) *training {
	t := &training{data: d, ctx: ctx, layer: newLayer[float32](w), lengths: lengths, rng: rand.New(rand.NewPCG(17, 19))}
	for i := range lengths {
		t.train = append(t.train, i)
	}
	t.held = t.train
	return t
}

// Sample is windows of attention inputs, [T × d] each, and of what the attention is to
// make of them.
type Sample struct{ Inputs, Targets []f32.Matrix }

// Fit returns the relative square error that w has on a sample, and what is left of it
// after so many steps of healing on that very sample: how far the form of w can be made
// to fit, to choose among forms by.
func Fit(ctx context.Context, w *Weights, s Sample, steps int) (before, after float64, err error) {
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
func (s *Sample) read(windows []int) (batch[float32], error) {
	var inputs, targets []f32.Matrix
	for _, i := range windows {
		inputs, targets = append(inputs, s.Inputs[i]), append(targets, s.Targets[i])
	}
	return joined(inputs, targets), nil
}

// joined returns windows as a batch.
func joined(inputs, targets []f32.Matrix) batch[float32] {
	var b batch[float32]
	for i, x := range inputs {
		b.x.Data, b.target.Data = append(b.x.Data, x.Data...), append(b.target.Data, targets[i].Data...)
		b.x.Rows, b.x.Cols, b.x.Stride = b.x.Rows+x.Rows, x.Cols, x.Cols
		b.lengths = append(b.lengths, x.Rows)
	}
	b.target.Rows, b.target.Cols, b.target.Stride = b.x.Rows, b.x.Cols, b.x.Cols
	return b
}
