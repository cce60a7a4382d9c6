package heal

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/latent"
)

// StepTime measures how long a step of healing takes for a layer with weights of the form of w,
// on random inputs.
func StepTime(ctx context.Context, w *latent.Weights) (time.Duration, error) {
	rng := rand.New(rand.NewPCG(1, 2))
	hidden, _ := w.Output.Dims()
	draw := func() f32.Matrix {
		m := f32.New(tokensTogether, hidden)
		for i := range m.Data {
			m.Data[i] = float32(rng.NormFloat64())
		}
		return m
	}
	var s Sample
	var lengths []int
	for range tokensAtOnce / tokensTogether {
		s.Inputs, s.Targets, lengths = append(s.Inputs, draw()), append(s.Targets, draw()), append(lengths, tokensTogether)
	}
	t := newTraining(ctx, &s, w, lengths)
	optimiser, gradient := latent.NewSoap(t.layer), t.layer.Twin()
	return latent.MeanStep(func() error { return t.step(optimiser, gradient, 0) })
}
