package heal

import (
	"errors"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// tokensTogether is how many tokens of a longer window a layer learns from as if they were a
// window. Attention over them costs little, and an update can learn from several places. In
// layer 12 of SmolLM2-135M at half the cache, pieces of 256 tokens leave no more error on whole
// windows of 2048 than those windows do, in a tenth of the time.
const tokensTogether = 256

// span is a run of tokens of a window that a layer sees as if they were a window.
type span struct{ window, from, tokens int }

// spans cuts the windows to learn from into spans of at most most tokens. Windows that are held
// out stay whole. It returns the indices of either kind.
func spans(windows tokens.Windows, most int) (all []span, train, judge []int) {
	for i, w := range windows {
		n := len(w)
		if windows.Held(i) {
			judge = append(judge, len(all))
			all = append(all, span{i, 0, n})
			continue
		}
		for from := 0; from < n; from += most {
			train = append(train, len(all))
			all = append(all, span{i, from, min(most, n-from)})
		}
	}
	return all, train, judge
}

// Cut cuts attention inputs, [T × d] each, into the pieces that layers learn from. They share the
// data.
func Cut(inputs []f32.Matrix) (pieces []f32.Matrix) {
	for _, x := range inputs {
		for from := 0; from < x.Rows; from += tokensTogether {
			pieces = append(pieces, x.RowsFrom(from, min(tokensTogether, x.Rows-from)))
		}
	}
	return pieces
}

// lesson is what a layer learns from: for every span its attention inputs, and what its
// attention should add to the residual stream.
type lesson struct{ inputs, targets *forward.Streams }

// newLesson makes room for the lesson of pieces of windows. Temp names files for what does not
// fit into memory.
func newLesson(pieces tokens.Windows, width int, temp func() string) (*lesson, error) {
	inputs, err := forward.NewStreams(pieces, width, temp)
	if err != nil {
		return nil, err
	}
	targets, err := forward.NewStreams(pieces, width, temp)
	if err != nil {
		return nil, errors.Join(err, inputs.Close())
	}
	return &lesson{inputs, targets}, nil
}

// Close gives up the lesson.
func (l *lesson) Close() error { return errors.Join(l.inputs.Close(), l.targets.Close()) }

// read returns spans as a batch.
func (l *lesson) read(spans []int) (batch, error) {
	var inputs, targets []f32.Matrix
	for _, k := range spans {
		x, err := l.inputs.Get(k)
		if err != nil {
			return batch{}, err
		}
		y, err := l.targets.Get(k)
		if err != nil {
			return batch{}, err
		}
		inputs, targets = append(inputs, x), append(targets, y)
	}
	return joined(inputs, targets), nil
}

// note puts down what the spans of a window say: source and converted are its residual streams
// before the attention, and attended is what the attention of the source adds to the former.
// Attention over a span of it is another than over the window.
func (l *lesson) note(layer *forward.Layer, all []span, window int, source, converted, attended f32.Matrix) error {
	for k, s := range all {
		if s.window != window {
			continue
		}
		want, x, adds := source.RowsFrom(s.from, s.tokens).Clone(), converted.RowsFrom(s.from, s.tokens), attended
		if s.tokens < source.Rows {
			adds = layer.Attend(want)
		}
		want.Add(adds)
		for i := range want.Rows {
			row := want.Row(i)
			for j, v := range x.Row(i) {
				row[j] -= v
			}
		}
		if err := errors.Join(l.inputs.Put(k, layer.Input(x)), l.targets.Put(k, want)); err != nil {
			return err
		}
	}
	return nil
}
