package sample

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/vector"
)

// Generator is a model with all of its weights in memory, to write text with.
type Generator struct {
	forward.Decoder
	layers []*forward.Layer
	head   f32.Matrix // [vocabulary × d]
}

// NewGenerator reads the weights of m, which must not have latent attention. Errors are those
// of reading.
func NewGenerator(m *family.Model) (*Generator, error) {
	g := &Generator{Decoder: forward.Decoder{Model: m, Holds: true}}
	var err error
	for n := range m.Layers {
		l, err := g.Layer(n)
		if err != nil {
			return nil, err
		}
		g.layers = append(g.layers, l)
	}
	g.head, err = g.HeadRows(0, m.Vocab)
	return g, err
}

// sequence is a text that is being written.
type sequence struct {
	tokens []int      // those written so far, the prompt included
	length int        // how many tokens it will have
	noise  *rand.Rand // of this text alone, so that the others beside it make no difference
}

// Write continues prompts, side by side, to texts of the given lengths, prompt included, of
// which the longest must come first. Every token is drawn from the model's probabilities after
// those before it. The same seed draws the same tokens. Step, if not nil, is told how many
// tokens there are after each step. It is an error if the embedding cannot be read, or ctx
// ends.
func (g *Generator) Write(ctx context.Context, prompts [][]int, lengths []int, seed uint64, step func(tokens int64)) ([][]int, error) {
	var texts []*sequence
	for i, prompt := range prompts {
		texts = append(texts, &sequence{slices.Clone(prompt), lengths[i], rand.New(rand.NewPCG(seed, uint64(i)))})
	}
	if err := g.run(ctx, texts, step); err != nil {
		return nil, err
	}
	written := make([][]int, len(texts))
	for i, s := range texts {
		written[i] = s.tokens[:s.length]
	}
	return written, nil
}

// run writes texts, the longest first.
func (g *Generator) run(ctx context.Context, texts []*sequence, step func(tokens int64)) error {
	var pasts []*forward.Past
	for _, l := range g.layers {
		p, err := l.NewPast(len(texts), texts[0].length)
		if err != nil {
			return err
		}
		pasts = append(pasts, p)
	}
	done := int64(len(texts)) // the first tokens
	for at := 0; at+1 < texts[0].length; at++ {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		for len(texts) > 0 && at+1 >= texts[len(texts)-1].length {
			texts = texts[:len(texts)-1]
		}
		ids := make([]int, len(texts))
		for i, s := range texts {
			ids[i] = s.tokens[at]
		}
		x, err := g.Embed(ids)
		if err != nil {
			return err
		}
		for n, l := range g.layers {
			if err := l.Step(x, pasts[n]); err != nil {
				return err
			}
		}
		if err := g.extend(ctx, texts, at+1, x); err != nil {
			return err
		}
		done += int64(len(texts))
		if step != nil {
			step(done)
		}
	}
	return nil
}

// extend draws token number at of those texts whose prompt is no longer than that. X, [texts ×
// d], is the residual stream behind the last layer.
func (g *Generator) extend(ctx context.Context, texts []*sequence, at int, x f32.Matrix) error {
	var open []int
	for i, s := range texts {
		if len(s.tokens) <= at {
			open = append(open, i)
		}
	}
	if len(open) == 0 {
		return nil
	}
	if err := g.Finish(x); err != nil {
		return err
	}
	logits := f32.Project(x, g.head)
	return f32.Each(ctx, len(open), func(i int) error {
		s := texts[open[i]]
		z := logits.Data[open[i]*logits.Stride : open[i]*logits.Stride+logits.Cols]
		vector.Softmax(z)
		s.tokens = append(s.tokens, draw(z, s.noise.Float64()))
		return nil
	})
}

// draw returns the token at which the probabilities add up to more than u, in [0, 1). If they
// never do, because of rounding or because they are NaN, it returns the likeliest one.
func draw(probabilities []float32, u float64) int {
	sum, likeliest := 0.0, 0
	for id, p := range probabilities {
		sum += float64(p)
		if sum > u {
			return id
		}
		if p > probabilities[likeliest] {
			likeliest = id
		}
	}
	return likeliest
}
