package heal

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// Steps is how many steps healing a layer takes; None: layers are not healed.
type Steps int

// The ways that are no number of steps.
const (
	None   Steps = 0
	Auto   Steps = -1 // as many as the held-out error gets better by
	Output Steps = -2 // no step: the output projection alone, in closed form
)

// String is the value of --heal.
func (s Steps) String() string {
	switch s {
	case None:
		return "none"
	case Auto:
		return "auto"
	case Output:
		return "output"
	default:
		return strconv.Itoa(int(s))
	}
}

// Result is what healing did for a layer. Errors are ‖output − target‖² / ‖target‖²
// of what the attention adds to the residual stream, on tokens held out; the
// target makes up for what earlier layers have lost.
type Result struct {
	Before float64 `json:"error_before"`
	After  float64 `json:"error_after"`
	Steps  int     `json:"steps"` // taken; 0: none helped

	// Output says that the output projection was fitted in closed form.
	Output bool `json:"output_fitted"`
}

// Better reports whether the layer became another.
func (r *Result) Better() bool { return r.Steps > 0 || r.Output }

// Healer heals the layers of a model, one after the other.
type Healer struct {
	// Progress, if not nil, is told of every step.
	Progress func(Progress)

	decoder           forward.Decoder
	windows           tokens.Windows
	steps             Steps
	source, converted *forward.Streams
	closed            *forward.Streams // that of the model that nothing heals; of held windows alone
	lengths           []int            // of the windows, in tokens
	train, held       []int            // windows
}

// Progress is how far healing has come, and the error of the layer before and now.
type Progress struct {
	Layer, Layers int
	Step, Steps   int // of a round, of which there may be more
	Before, Now   float64
}

// heldEvery is one in how many windows is held out.
const heldEvery = 10

// New prepares to heal the layers of m on windows of tokens, two or more. Temp names
// files for what does not fit into memory.
func New(m *family.Model, windows tokens.Windows, steps Steps, temp func() string) (h *Healer, err error) {
	if steps == Output {
		windows = thinned(windows, enough*m.Heads*m.HeadDim)
	}
	h = &Healer{decoder: forward.Decoder{Model: m}, steps: steps, windows: windows}
	for i, w := range windows {
		h.lengths = append(h.lengths, len(w))
		if i%heldEvery == min(heldEvery, len(windows))/2 {
			h.held = append(h.held, i)
		} else {
			h.train = append(h.train, i)
		}
	}
	held := make(tokens.Windows, len(windows))
	for _, i := range h.held {
		held[i] = windows[i]
	}
	if h.source, err = embed(h.decoder, windows, temp); err == nil {
		h.converted, err = embed(h.decoder, windows, temp)
	}
	if err == nil {
		h.closed, err = embed(h.decoder, held, temp)
	}
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// enough is how many tokens for each column of an output projection are taken to fit it:
// many times what its equations need. On 65,536 tokens for SmolLM2-135M, 32 for each column
// diverge by a tenth more than all of them, which are 114.
const enough = 128

// thinned returns windows of about so many tokens, evenly spread, or all; two at least.
func thinned(windows tokens.Windows, most int) tokens.Windows {
	n := min(len(windows), max(2, len(windows)*most/max(1, windows.Tokens())))
	var some tokens.Windows
	for k := range n {
		some = append(some, windows[k*len(windows)/n])
	}
	return some
}

// Windows returns the windows of tokens that layers are healed on.
func (h *Healer) Windows() tokens.Windows { return h.windows }

// embed returns the stream that windows begin with.
func embed(d forward.Decoder, windows tokens.Windows, temp func() string) (*forward.Streams, error) {
	s, err := forward.NewStreams(windows, d.Hidden, temp)
	if err != nil {
		return nil, err
	}
	if err := s.Embed(d, windows); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close gives up what is held.
func (h *Healer) Close() error {
	var errs []error
	for _, s := range []*forward.Streams{h.source, h.converted, h.closed} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// Layer heals layer n, whose converted weights are w, and takes the streams through
// it. It returns nil if they are best as they are.
func (h *Healer) Layer(ctx context.Context, n int, w *Weights) (*Weights, *Result, error) {
	l, err := h.begin(ctx, n)
	if err != nil {
		return nil, nil, err
	}
	t := newTraining(ctx, l, w, h.lengths)
	t.train, t.held = h.train, h.held
	t.progress = func(step, steps int, before, now float64) {
		if h.Progress != nil {
			h.Progress(Progress{n, h.decoder.Layers, step, steps, before, now})
		}
	}
	r, err := t.run(h.steps)
	if err != nil {
		return nil, nil, err
	}
	if err := l.finish(ctx, newLayer[float32](w), t.layer); err != nil {
		return nil, nil, err
	}
	if !r.Better() {
		return nil, r, nil
	}
	return t.layer.weights(w), r, nil
}

// Pass takes the streams through layer n, whose converted weights are w and became
// healed when it was healed before; nil if they were best as they were.
func (h *Healer) Pass(ctx context.Context, n int, w, healed *Weights) error {
	l, err := h.begin(ctx, n)
	if err != nil {
		return err
	}
	return l.finish(ctx, newLayer[float32](w), newLayer[float32](cmp.Or(healed, w)))
}

// begin takes the source's stream through the attention of layer n.
func (h *Healer) begin(ctx context.Context, n int) (*streamed, error) {
	o, err := originalOf(h.decoder, n)
	if err != nil {
		return nil, err
	}
	l := &streamed{Healer: h, original: o}
	return l, f32.Each(ctx, len(h.lengths), func(i int) error { return change(h.source, i, o.layer.Attend) })
}

// streamed is the data of a layer: the source's stream after its attention, and the
// converted one before.
type streamed struct {
	*Healer
	original *original
}

// read returns windows as a batch.
func (l *streamed) read(windows []int) (batch[float32], error) {
	var inputs, targets []f32.Matrix
	for _, i := range windows {
		x, err := l.converted.Get(i)
		if err != nil {
			return batch[float32]{}, err
		}
		want, err := l.source.Get(i)
		if err != nil {
			return batch[float32]{}, err
		}
		target := f32.New(x.Rows, x.Cols)
		for j, v := range want.Data {
			target.Data[j] = v - x.Data[j]
		}
		inputs, targets = append(inputs, l.original.input(x)), append(targets, target)
	}
	return joined(inputs, targets), nil
}

// finish takes the streams through the rest of the layer, given what it was converted
// to and what that became.
func (l *streamed) finish(ctx context.Context, closed, healed *layer[float32]) error {
	return f32.Each(ctx, len(l.lengths), func(i int) error {
		err := errors.Join(l.original.through(l.converted, i, healed), change(l.source, i, l.original.layer.MLP))
		if slices.Contains(l.held, i) {
			err = errors.Join(err, l.original.through(l.closed, i, closed))
		}
		return err
	})
}
