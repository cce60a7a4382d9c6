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
	"github.com/mha2mla/mha2mla/internal/latent"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// Steps says how a layer is healed: by that many steps, or by one of the ways that are no
// number of steps (design §9).
type Steps int

// The ways that are no number of steps.
const (
	None   Steps = 0  // layers are not healed
	Auto   Steps = -1 // as many steps as make the held-out error smaller
	Output Steps = -2 // no step: the output projection alone is fitted, in closed form
)

// String returns the word or the number by which people name the way.
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

// Result says how much healing has improved a layer. Errors are ‖output − target‖² /
// ‖target‖², on tokens held out. The output is what the attention adds to the residual
// stream; the target also makes up for the losses of earlier layers.
type Result struct {
	Before float64 `json:"error_before"`
	After  float64 `json:"error_after"`
	Steps  int     `json:"steps"` // how many were kept; 0 if none helped

	// Output says that the output projection was fitted in closed form.
	Output bool `json:"output_fitted"`
}

// Better reports whether healing has changed the layer.
func (r *Result) Better() bool { return r.Steps > 0 || r.Output }

// Healer heals the layers of a model, one after the other.
type Healer struct {
	// Progress, if not nil, is told of every step.
	Progress func(Progress)

	decoder           forward.Decoder
	windows           tokens.Windows
	steps             Steps
	source, converted *forward.Streams
	closed            *forward.Streams // that of the model of closed forms, for the held-out windows alone
	lengths           []int            // of the windows, in tokens
	train, held       []int            // indices of the windows to learn from and of those held out
}

// Progress says how far healing has come, and what the error of the layer was and is.
type Progress struct {
	Layer, Layers int
	Step, Steps   int // within a round; a layer may take several rounds
	Before, Now   float64
}

// heldEvery says that one in that many windows is held out.
const heldEvery = 10

// New prepares to heal the layers of m on windows of tokens, of which there must be two or
// more. Temp names files for streams that do not fit into memory. Errors are those of
// reading the embedding and of these files.
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
	h.source, err = embed(h.decoder, windows, temp)
	if err == nil {
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

// enough is how many tokens for each column of an output projection are read to fit it.
// That is many times what its equations need: of 65,536 tokens for SmolLM2-135M, 32 for each
// column make a conversion diverge by 0.133, and all of them, which are 114, by 0.111.
const enough = 128

// thinned returns evenly spread windows of about most tokens together, two windows at
// least, or all windows if they have no more tokens.
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

// embed returns the residual streams of windows before the first layer.
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

// Close gives up the streams.
func (h *Healer) Close() error {
	var errs []error
	for _, s := range []*forward.Streams{h.source, h.converted, h.closed} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// Layer heals layer n, whose converted weights are w, and takes the streams through it.
// Layers must come in order. The weights that it returns are nil if w is best as it is.
// Errors are those of reading the layer and the streams, and the cause of ctx.
func (h *Healer) Layer(ctx context.Context, n int, w *latent.Weights) (*latent.Weights, *Result, error) {
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
	if err := l.finish(ctx, latent.New[float32](w), t.layer); err != nil {
		return nil, nil, err
	}
	if !r.Better() {
		return nil, r, nil
	}
	return t.layer.Weights(w), r, nil
}

// Pass takes the streams through layer n, which was healed in an earlier run. Its converted
// weights are w, and healed is what they became then, or nil if they were best as they
// were.
func (h *Healer) Pass(ctx context.Context, n int, w, healed *latent.Weights) error {
	l, err := h.begin(ctx, n)
	if err != nil {
		return err
	}
	return l.finish(ctx, latent.New[float32](w), latent.New[float32](cmp.Or(healed, w)))
}

// begin takes the source's stream through the attention of layer n and returns the data
// that the layer learns from.
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
func (l *streamed) read(windows []int) (batch, error) {
	var inputs, targets []f32.Matrix
	for _, i := range windows {
		x, err := l.converted.Get(i)
		if err != nil {
			return batch{}, err
		}
		want, err := l.source.Get(i)
		if err != nil {
			return batch{}, err
		}
		target := f32.New(x.Rows, x.Cols)
		for j, v := range want.Data {
			target.Data[j] = v - x.Data[j]
		}
		inputs, targets = append(inputs, l.original.input(x)), append(targets, target)
	}
	return joined(inputs, targets), nil
}

// finish takes the streams through the rest of the layer, whose attention is closed in the
// closed form and healed in the converted model.
func (l *streamed) finish(ctx context.Context, closed, healed *latent.Layer[float32]) error {
	return f32.Each(ctx, len(l.lengths), func(i int) error {
		err := errors.Join(l.original.through(l.converted, i, healed), change(l.source, i, l.original.layer.MLP))
		if slices.Contains(l.held, i) {
			err = errors.Join(err, l.original.through(l.closed, i, closed))
		}
		return err
	})
}
