package distill

import (
	"context"
	"time"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/latent"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// StepTime measures how long a step of training takes for m on windows of that many tokens, whose
// layers have weights of the form of w. It runs one layer and the head.
func StepTime(ctx context.Context, m *family.Model, w *latent.Weights, window int) (time.Duration, error) {
	ids := make([]int, max(tokensAtOnce, window))
	for i := range ids {
		ids[i] = i % m.Vocab
	}
	l := latent.New[float32](w)
	t := &training{
		Distiller: &Distiller{Model: m, Windows: tokens.Windows{ids}}, decoder: forward.Decoder{Model: m},
		layers: []*latent.Layer[float32]{l}, optimisers: []*latent.Soap[float32]{latent.NewSoap(l)},
	}
	var err error
	t.head, err = newHead(t.decoder)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	source, err := t.runSource(ctx, []int{0})
	if err != nil {
		return 0, err
	}
	p, err := t.forward(ctx, []int{0})
	if err != nil {
		return 0, err
	}
	atHead := time.Now()
	_, gradient := t.head.compare(p.out, source[0], true)
	head := time.Since(atHead)
	g, err := t.back(p, 0, gradient)
	if err != nil {
		return 0, err
	}
	layer := time.Since(start) - head
	descent, err := latent.MeanStep(func() error {
		t.optimisers[0].Step(g, 0)
		return nil
	})
	return head + time.Duration(m.Layers)*(layer+descent), err
}
