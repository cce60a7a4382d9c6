package distill

import (
	"context"
	"errors"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// streamWeight is the weight of the streams' mean relative error beside the divergence of the
// logits, in nats.
const streamWeight = 10

// sourceStreams are the residual streams of the source behind every layer.
type sourceStreams struct {
	*forward.Streams // that of window i behind layer n at n·windows + i
	windows, layers  int
}

// runSource runs the source on windows and keeps its streams.
func runSource(ctx context.Context, d forward.Decoder, windows tokens.Windows, temp func() string) (s *sourceStreams, err error) {
	var all tokens.Windows
	for range d.Layers {
		all = append(all, windows...)
	}
	s = &sourceStreams{windows: len(windows), layers: d.Layers}
	s.Streams, err = forward.NewStreams(all, d.Hidden, temp)
	if err != nil {
		return nil, err
	}
	for n := range d.Layers {
		l, err := d.Layer(n)
		if err == nil {
			err = f32.Each(ctx, len(windows), func(i int) error { return s.layer(d, l, n, i, windows[i]) })
		}
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// layer takes window i through layer n.
func (s *sourceStreams) layer(d forward.Decoder, l *forward.Layer, n, i int, tokens []int) error {
	var x f32.Matrix
	var err error
	if n == 0 {
		x, err = d.Embed(tokens)
	} else {
		x, err = s.Get((n-1)*s.windows + i)
		x = x.Clone()
	}
	if err != nil {
		return err
	}
	l.Forward(x)
	return s.Put(n*s.windows+i, x)
}

// behind returns the streams of windows behind layer n, one below the other, [N × d]. They are
// not to be changed.
func (s *sourceStreams) behind(n int, windows []int) (f32.Matrix, error) {
	var parts []f32.Matrix
	for _, i := range windows {
		x, err := s.Get(n*s.windows + i)
		if err != nil {
			return f32.Matrix{}, err
		}
		parts = append(parts, x)
	}
	return joined(parts), nil
}

// final returns the streams behind the last layer.
func (s *sourceStreams) final(windows []int) (f32.Matrix, error) {
	return s.behind(s.layers-1, windows)
}

// pull adds to gradient the gradient with respect to the stream x behind layer n, [N × d], of its
// mean relative error, E ‖x − s‖²/‖s‖² over tokens with s the source's, times weight.
func (s *sourceStreams) pull(gradient, x f32.Matrix, n int, windows []int, weight float64) error {
	if weight == 0 {
		return nil
	}
	want, err := s.behind(n, windows)
	if err != nil {
		return err
	}
	for t := range x.Rows {
		source, g := want.RowsFrom(t, 1), gradient.Row(t)
		size := source.SquaredNorm()
		if size == 0 {
			continue
		}
		factor := float32(2 * weight / (size * float64(x.Rows)))
		for j, v := range x.Row(t) {
			g[j] += factor * (v - source.Data[j])
		}
	}
	return nil
}
