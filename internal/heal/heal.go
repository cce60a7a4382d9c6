package heal

import (
	"cmp"
	"context"
	"errors"
	"strconv"

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

// Least returns how many steps a layer takes at least.
func (s Steps) Least() int {
	if s == Auto {
		return firstRound
	}
	return max(0, int(s))
}

// Tokens returns how many tokens the steps of a layer read at least, those read again included.
func (s Steps) Tokens() int { return s.Least() * tokensAtOnce }

// Result says how much healing has improved a layer. Errors are ‖output − target‖² /
// ‖target‖², on tokens held out. The output is what the attention adds to the residual
// stream. In any order but Own the target also makes up for the losses of earlier layers.
type Result struct {
	Before float64 `json:"error_before"`
	After  float64 `json:"error_after"`
	Steps  int     `json:"steps"` // how many were kept; 0 if none helped

	// Output says that the output projection was fitted in closed form.
	Output bool `json:"output_fitted"`

	// TakenBack says which steps did not help; nil if all did.
	TakenBack *TakenBack `json:"taken_back,omitempty"`
}

// TakenBack says what steps did that were taken back, because they did not help on the tokens held
// out. If the error on the tokens that they learned from is lower, there were too few of these.
type TakenBack struct {
	Steps   int     `json:"steps"`
	Learned float64 `json:"error_learned"` // lately, on the tokens learned from
	Held    float64 `json:"error_held_out"`
}

// Better reports whether healing has changed the layer.
func (r *Result) Better() bool { return r.Steps > 0 || r.Output }

// Healer heals the layers of a model. Layers may be healed at the same time, if they begin in
// their order; what has to be done one layer after the other waits for its turn.
type Healer struct {
	// Progress, if not nil, is told of every step. It may be called from several goroutines.
	Progress func(Progress)

	decoder     forward.Decoder
	windows     tokens.Windows
	steps       Steps
	order       Order
	temp        func() string
	held        []int          // indices of the windows held out
	spans       []span         // of the windows
	pieces      tokens.Windows // the tokens of the spans
	train, test []int          // indices of the spans to learn from and of those held out

	source            *forward.Streams // before the layer whose turn it is to advance it
	converted, closed *forward.Streams // of the healed layers and of the closed forms, before the layer whose turn it is to finish
	advanced          turns            // of the source's stream
	finished          turns            // of the others
}

// Progress says how far healing has come, and what the error of the layer was and is.
type Progress struct {
	Layer, Layers int
	Step, Steps   int // within a round; a layer may take several rounds
	Before, Now   float64
}

// New prepares to heal the layers of m on windows of tokens, of which there must be two or
// more, in the given way and order. Temp names files for streams that do not fit into memory.
// Errors are those of reading the embedding and of these files.
func New(m *family.Model, windows tokens.Windows, steps Steps, order Order, temp func() string) (h *Healer, err error) {
	windows = Windows(m, windows, steps)
	longest := tokensTogether
	if steps == Output {
		longest = windows.Longest()
	}
	h = &Healer{
		decoder: forward.Decoder{Model: m}, steps: steps, order: order, windows: windows, temp: temp,
		advanced: newTurns(m.Layers), finished: newTurns(m.Layers),
	}
	judges := make(tokens.Windows, len(windows))
	for i, w := range windows {
		if windows.Held(i) {
			h.held, judges[i] = append(h.held, i), w
		}
	}
	h.spans, h.train, h.test = spans(windows, longest)
	for _, s := range h.spans {
		h.pieces = append(h.pieces, windows[s.window][s.from:s.from+s.tokens])
	}
	h.source, err = embed(h.decoder, windows, temp)
	if err == nil {
		h.converted, err = embed(h.decoder, h.taught(judges), temp)
	}
	if err == nil {
		h.closed, err = embed(h.decoder, judges, temp)
	}
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// taught returns the windows that are taken through the healed layers: all if layers learn from
// what comes of them, and else those that judge.
func (h *Healer) taught(judges tokens.Windows) tokens.Windows {
	if h.order == Own {
		return judges
	}
	return h.windows
}

// Windows returns those windows that layers of m are healed on in a way.
func Windows(m *family.Model, windows tokens.Windows, steps Steps) tokens.Windows {
	if steps == Output {
		return thinned(windows, enough*m.Heads*m.HeadDim)
	}
	return windows
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

// SideBySide reports whether layers may be healed at the same time, at least for a part.
func (h *Healer) SideBySide() bool { return h.order != Sequential }

// Memory estimates the bytes that a layer takes to heal, as the function Memory does.
func (h *Healer) Memory(latent int) int64 {
	return Memory(h.decoder.Model, h.steps, latent, h.windows)
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
// Layers must begin in order. The weights that it returns are nil if w is best as it is.
// Errors are those of reading the layer and the streams, and the cause of ctx.
func (h *Healer) Layer(ctx context.Context, n int, w *latent.Weights) (healed *latent.Weights, r *Result, err error) {
	l, err := h.begin(ctx, n, true)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	t := h.training(ctx, l, w)
	r, err = t.run(h.steps)
	if err != nil {
		return nil, nil, err
	}
	if err := h.finished.wait(ctx, n); err != nil {
		return nil, nil, err
	}
	if h.order == Both {
		if err := h.again(l, t, w, r); err != nil {
			return nil, nil, err
		}
	}
	if err := l.finish(ctx, latent.New[float32](w), t.layer); err != nil {
		return nil, nil, err
	}
	if !r.Better() {
		return nil, r, nil
	}
	return t.layer.Weights(w), r, nil
}

// again fits the output projection of a layer, which was healed on the source's own stream, on
// that of the healed layers. It changes what was found out about it so that it compares with the
// closed form there.
func (h *Healer) again(l *underWay, t *training, w *latent.Weights, r *Result) error {
	if err := l.learn(t.ctx); err != nil {
		return err
	}
	own, closed := t.layer, latent.New[float32](w)
	t.layer = closed
	before, err := t.heldError()
	if err != nil {
		return err
	}
	t.layer = own
	more, err := t.run(Output)
	if err != nil {
		return err
	}
	*r = Result{Before: before, After: more.After, Steps: r.Steps, Output: r.Output || more.Output, TakenBack: r.TakenBack}
	if !(r.After < before) {
		t.layer, *r = closed, Result{Before: before, After: before, TakenBack: &TakenBack{r.Steps, t.lately, r.After}}
	}
	return nil
}

// training prepares to heal w on the lesson of l.
func (h *Healer) training(ctx context.Context, l *underWay, w *latent.Weights) *training {
	var lengths []int
	for _, p := range h.pieces {
		lengths = append(lengths, len(p))
	}
	t := newTraining(ctx, l.lesson, w, lengths)
	t.train, t.held = h.train, h.test
	t.progress = func(step, steps int, before, now float64) {
		if h.Progress != nil {
			h.Progress(Progress{l.n, h.decoder.Layers, step, steps, before, now})
		}
	}
	return t
}

// Pass takes the streams through layer n, which was healed in an earlier run. Its converted
// weights are w, and healed is what they became then, or nil if they were best as they
// were.
func (h *Healer) Pass(ctx context.Context, n int, w, healed *latent.Weights) (err error) {
	l, err := h.begin(ctx, n, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := h.finished.wait(ctx, n); err != nil {
		return err
	}
	return l.finish(ctx, latent.New[float32](w), latent.New[float32](cmp.Or(healed, w)))
}
