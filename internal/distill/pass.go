package distill

import (
	"context"

	"github.com/mha2mla/mha2mla/internal/f32"
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
	var err error
	p.out, p.lengths, err = t.embed(windows)
	if err != nil {
		return nil, err
	}
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
		added, err := mlp(ctx, around, p.out)
		if err != nil {
			return nil, err
		}
		p.out.Add(added)
	}
	return p, nil
}

// batch returns the attention inputs of a layer for the residual stream x.
func (p *pass) batch(around *forward.Around, x f32.Matrix) latent.Batch[float32] {
	return latent.Batch[float32]{X: around.Input(x), Lengths: p.lengths}
}

// mlp returns what the MLP adds to the stream x, of some tokens on each processor. Errors are
// those of forward.Around.MLP.
func mlp(ctx context.Context, around *forward.Around, x f32.Matrix) (f32.Matrix, error) {
	out := x.Like()
	err := f32.Each(ctx, (x.Rows+forward.TokensAtOnce-1)/forward.TokensAtOnce, func(i int) error {
		from := i * forward.TokensAtOnce
		n := min(forward.TokensAtOnce, x.Rows-from)
		added, err := around.MLP(x.RowsFrom(from, n))
		if err == nil {
			out.RowsFrom(from, n).CopyFrom(added)
		}
		return err
	})
	return out, err
}

// lost is what windows lose in the converted model.
type lost struct {
	*pass
	source   []f32.Matrix // the residual streams of the source behind every layer
	kl       float64      // divergence in nats per token
	gradient f32.Matrix   // of the divergence with respect to the streams behind the last layer, if wanted
}

// lost takes windows through both models.
func (t *training) lost(ctx context.Context, windows []int, wanted bool) (*lost, error) {
	source, err := t.runSource(ctx, windows)
	if err != nil {
		return nil, err
	}
	p, err := t.forward(ctx, windows)
	if err != nil {
		return nil, err
	}
	l := &lost{pass: p, source: source}
	l.kl, l.gradient = t.head.compare(p.out, source[len(source)-1], wanted)
	return l, nil
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
	l, err := t.lost(ctx, windows, true)
	if err != nil {
		return 0, err
	}
	behind := l.out
	for n := len(t.layers) - 1; n >= 0; n-- {
		if err := context.Cause(ctx); err != nil {
			return 0, err
		}
		pull(l.gradient, behind, l.source[n], streamWeight/float64(len(t.layers)))
		g, err := t.back(l.pass, n, l.gradient)
		if err != nil {
			return 0, err
		}
		use(n, g)
		behind = l.inputs[n]
	}
	return l.kl, nil
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
