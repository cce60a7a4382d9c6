package distill

import (
	"context"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/fastblas"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/latent"
)

// pass is some windows on their way through the converted model.
type pass struct {
	lengths []int        // of the windows, in tokens
	inputs  []f32.Matrix // [N × d]: the residual stream before every layer
	out     f32.Matrix   // [N × d]: behind the last one
}

// forward takes windows through the converted model.
func (t *training) forward(ctx context.Context, windows []int) (*pass, error) {
	p := &pass{}
	var parts []f32.Matrix
	for _, i := range windows {
		x, err := t.decoder.Embed(t.Windows[i])
		if err != nil {
			return nil, err
		}
		parts, p.lengths = append(parts, x), append(p.lengths, x.Rows)
	}
	p.out = f32.Stack(parts)
	for n, l := range t.layers {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		around, err := t.decoder.Around(n)
		if err != nil {
			return nil, err
		}
		p.inputs = append(p.inputs, p.out.Clone())
		p.out.Add(l.Forward(p.batch(around, p.out)).Output)
		p.out.Add(mlp(around, p.out))
	}
	return p, nil
}

// batch returns the attention inputs of a layer for the residual stream x.
func (p *pass) batch(around *forward.Around, x f32.Matrix) latent.Batch[float32] {
	return latent.Batch[float32]{X: around.Input(x), Lengths: p.lengths}
}

// mlp returns what the MLP adds to the stream x, of some tokens on each processor.
func mlp(around *forward.Around, x f32.Matrix) f32.Matrix {
	out := x.Like()
	fastblas.Each((x.Rows+forward.TokensAtOnce-1)/forward.TokensAtOnce, func(i int) {
		from := i * forward.TokensAtOnce
		n := min(forward.TokensAtOnce, x.Rows-from)
		out.RowsFrom(from, n).CopyFrom(around.MLP(x.RowsFrom(from, n)))
	})
	return out
}

// lost takes windows through the converted model and returns their divergence in nats per token
// and, if wanted, its gradient with respect to the streams behind the last layer.
func (t *training) lost(ctx context.Context, windows []int, wanted bool) (p *pass, kl float64, gradient f32.Matrix, err error) {
	p, err = t.forward(ctx, windows)
	if err != nil {
		return nil, 0, gradient, err
	}
	want, err := t.source.final(windows)
	if err != nil {
		return nil, 0, gradient, err
	}
	kl, gradient = t.head.compare(p.out, want, wanted)
	return p, kl, gradient, nil
}

// step learns from windows, by a step of the given part of the largest. It returns their
// divergence in nats per token.
func (t *training) step(ctx context.Context, windows []int, part float64) (kl float64, err error) {
	return t.gradients(ctx, windows, func(n int, g *latent.Layer[float32]) { t.optimisers[n].Step(g, part) })
}

// gradients calls use with the gradient of the loss of windows with respect to the weights of
// every layer, the last one first. Use may change that layer. It returns the divergence in nats per
// token, which is a part of the loss.
func (t *training) gradients(ctx context.Context, windows []int, use func(n int, g *latent.Layer[float32])) (kl float64, err error) {
	p, kl, gradient, err := t.lost(ctx, windows, true)
	if err != nil {
		return 0, err
	}
	behind := p.out
	for n := len(t.layers) - 1; n >= 0; n-- {
		if err := context.Cause(ctx); err != nil {
			return 0, err
		}
		if err := t.source.pull(gradient, behind, n, windows, streamWeight/float64(len(t.layers))); err != nil {
			return 0, err
		}
		g, err := t.back(p, n, gradient)
		if err != nil {
			return 0, err
		}
		use(n, g)
		behind = p.inputs[n]
	}
	return kl, nil
}

// back takes the gradient with respect to the stream behind layer n, in place, to that with
// respect to the stream before it, and returns that with respect to the weights of the layer.
func (t *training) back(p *pass, n int, gradient f32.Matrix) (*latent.Layer[float32], error) {
	around, err := t.decoder.Around(n)
	if err != nil {
		return nil, err
	}
	l, x := t.layers[n], p.inputs[n]
	attention := l.Forward(p.batch(around, x))
	attention.Output.Add(x)
	gradient.Add(around.MLPBack(attention.Output, gradient))
	own := l.Twin()
	gradient.Add(around.InputBack(x, attention.BackwardThrough(gradient, own)))
	return own, nil
}
