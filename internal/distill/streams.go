package distill

import (
	"context"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/forward"
)

// streamWeight is the weight of the streams' mean relative error beside the divergence of the
// logits, in nats.
const streamWeight = 10

// runSource runs the source on windows and returns its residual streams behind every layer, one
// window below the other, [L] of [N × d]. A step runs it anew: of a text that is read twice at
// most, to keep the streams would save a tenth of the time, and take the disk 2·L·d bytes and
// more for every token.
func (t *training) runSource(ctx context.Context, windows []int) ([]f32.Matrix, error) {
	x, lengths, err := t.embed(windows)
	if err != nil {
		return nil, err
	}
	var behind []f32.Matrix
	for n := range t.layers {
		l, err := t.decoder.Layer(n)
		if err != nil {
			return nil, err
		}
		x = x.Clone()
		if err := through(ctx, l, x, lengths); err != nil {
			return nil, err
		}
		behind = append(behind, x)
	}
	return behind, nil
}

// embed returns the embeddings of windows, one below the other, and how long they are.
func (t *training) embed(windows []int) (x f32.Matrix, lengths []int, err error) {
	var parts []f32.Matrix
	for _, i := range windows {
		part, err := t.decoder.Embed(t.Windows[i])
		if err != nil {
			return x, nil, err
		}
		parts, lengths = append(parts, part), append(lengths, part.Rows)
	}
	return f32.Stack(parts), lengths, nil
}

// through takes the streams of windows of the given lengths, in place, through a layer of the
// source.
func through(ctx context.Context, l *forward.Layer, x f32.Matrix, lengths []int) error {
	var starts []int
	from := 0
	for _, n := range lengths {
		starts = append(starts, from)
		from += n
	}
	return f32.Each(ctx, len(lengths), func(i int) error {
		_, err := l.Forward(x.RowsFrom(starts[i], lengths[i]))
		return err
	})
}

// pull adds to gradient the gradient with respect to the stream x behind a layer, [N × d], of its
// mean relative error, E ‖x − s‖²/‖s‖² over tokens with s the source's, times weight.
func pull(gradient, x, source f32.Matrix, weight float64) {
	for t := range x.Rows {
		s, g := source.RowsFrom(t, 1), gradient.Row(t)
		size := s.SquaredNorm()
		if size == 0 {
			continue
		}
		factor := float32(2 * weight / (size * float64(x.Rows)))
		for j, v := range x.Row(t) {
			g[j] += factor * (v - s.Data[j])
		}
	}
}
