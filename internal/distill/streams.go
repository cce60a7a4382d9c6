package distill

import (
	"context"
	"errors"
	"slices"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// streamWeight is the weight of the streams' mean relative error beside the divergence of the
// logits, in nats.
const streamWeight = 10

// sourceStreams are the residual streams of the source behind every layer. Those between layers
// are rounded, because there are many, and what a layer has lost is many times what that is.
type sourceStreams struct {
	between         *forward.Streams // rounded; behind layer n of all but the last, of window i, at n·windows + i
	last            *forward.Streams // behind the last one
	layers, windows int
}

// runSource runs the source on windows and keeps its streams.
func runSource(ctx context.Context, d forward.Decoder, windows tokens.Windows, temp func() string) (s *sourceStreams, err error) {
	s = &sourceStreams{layers: d.Layers, windows: len(windows)}
	s.last, err = forward.NewStreams(windows, d.Hidden, temp)
	if err != nil {
		return nil, err
	}
	s.between, err = forward.NewRounded(slices.Repeat(windows, d.Layers-1), d.Hidden, temp)
	if err == nil {
		err = s.last.Embed(d, windows)
	}
	for n := 0; err == nil && n < d.Layers; n++ {
		var l *forward.Layer
		l, err = d.Layer(n)
		if err == nil {
			err = f32.Each(ctx, len(windows), func(i int) error { return s.through(l, n, i) })
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// through takes window i through layer n of the source.
func (s *sourceStreams) through(l *forward.Layer, n, i int) error {
	x, err := s.last.Get(i)
	if err != nil {
		return err
	}
	l.Forward(x)
	if n < s.layers-1 {
		err = s.between.Put(n*s.windows+i, x)
	}
	return errors.Join(err, s.last.Put(i, x))
}

// Close gives up the streams.
func (s *sourceStreams) Close() error {
	if s.between == nil {
		return s.last.Close()
	}
	return errors.Join(s.last.Close(), s.between.Close())
}

// behind returns the streams of windows behind layer n, one below the other, [N × d]. They are
// not to be changed.
func (s *sourceStreams) behind(n int, windows []int) (f32.Matrix, error) {
	var parts []f32.Matrix
	for _, i := range windows {
		at, place := s.between, n*s.windows+i
		if n == s.layers-1 {
			at, place = s.last, i
		}
		x, err := at.Get(place)
		if err != nil {
			return f32.Matrix{}, err
		}
		parts = append(parts, x)
	}
	return f32.Stack(parts), nil
}

// final returns the streams behind the last layer.
func (s *sourceStreams) final(windows []int) (f32.Matrix, error) {
	return s.behind(s.layers-1, windows)
}

// pull adds to gradient the gradient with respect to the stream x behind layer n, [N × d], of its
// mean relative error, E ‖x − s‖²/‖s‖² over tokens with s the source's, times weight.
func (s *sourceStreams) pull(gradient, x f32.Matrix, n int, windows []int, weight float64) error {
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
