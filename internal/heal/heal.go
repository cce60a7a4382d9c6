// Package heal wins back what a conversion in closed form has lost, layer after
// layer, without back-propagation through the model (design §9).
//
// Two residual streams run side by side: the source's, and that of the converted
// model with all layers before healed. A layer is asked to add to the second what
// makes it the first. That is a least-squares problem of one attention layer, whose
// gradients stand in pass.go, attention.go and backward.go; adam.go descends them.
package heal

import (
	"context"
	"errors"
	"strconv"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/decoder"
	"github.com/mha2mla/mha2mla/internal/family"
)

// Steps is how many steps healing a layer takes; 0: layers are not healed.
type Steps int

// Auto is as many steps as the held-out error gets better by.
const Auto Steps = -1

// String is the value of --heal.
func (s Steps) String() string {
	if s == Auto {
		return "auto"
	}
	return strconv.Itoa(int(s))
}

// Result is what healing did for a layer. Errors are ‖output − target‖² / ‖target‖²
// of what the attention adds to the residual stream, on tokens held out; the
// target makes up for what earlier layers have lost.
type Result struct {
	Before float64 `json:"error_before"`
	After  float64 `json:"error_after"`
	Steps  int     `json:"steps"` // taken; 0: the closed form stayed
}

// Healer heals the layers of a model, one after the other.
type Healer struct {
	decoder           decoder.Decoder
	steps             Steps
	source, converted *calib.Streams
	lengths           []int // of the windows, in tokens
	train, held       []int // windows
}

// heldEvery is one in how many windows is held out.
const heldEvery = 10

// New prepares to heal the layers of m on windows of tokens, two or more. Temp names
// files for what does not fit into memory.
func New(m *family.Model, windows [][]int, steps Steps, temp func() string) (h *Healer, err error) {
	h = &Healer{decoder: decoder.Decoder{Model: m}, steps: steps}
	for i, w := range windows {
		h.lengths = append(h.lengths, len(w))
		if i%heldEvery == min(heldEvery, len(windows))/2 {
			h.held = append(h.held, i)
		} else {
			h.train = append(h.train, i)
		}
	}
	if h.source, err = calib.NewStreams(windows, m.Hidden, temp); err != nil {
		return nil, err
	}
	if h.converted, err = calib.NewStreams(windows, m.Hidden, temp); err != nil {
		return nil, err
	}
	for i, w := range windows {
		for _, s := range []*calib.Streams{h.source, h.converted} {
			x, err := h.decoder.Embed(w)
			if err != nil {
				return nil, err
			}
			if err := s.Put(i, x); err != nil {
				return nil, err
			}
		}
	}
	return h, nil
}

// Close gives up what is held.
func (h *Healer) Close() error {
	var errs []error
	for _, s := range []*calib.Streams{h.source, h.converted} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// Layer heals layer n, whose converted weights are w, and takes both streams through
// it. It returns nil if they are best as they are.
func (h *Healer) Layer(ctx context.Context, n int, w *Weights) (*Weights, *Result, error) {
	source, err := h.decoder.Layer(n)
	if err != nil {
		return nil, nil, err
	}
	norm, err := h.decoder.Attention(n).Norm()
	if err != nil {
		return nil, nil, err
	}
	t := &training{Healer: h, ctx: ctx, n: n, layer: newLayer[float32](w)}
	for _, v := range norm {
		t.norm = append(t.norm, float32(v))
	}
	if err := h.attend(source); err != nil {
		return nil, nil, err
	}
	r, err := t.run()
	if err != nil {
		return nil, nil, err
	}
	if err := t.finish(source); err != nil {
		return nil, nil, err
	}
	if r.Steps == 0 {
		return nil, r, nil
	}
	return t.layer.weights(w), r, nil
}

// attend adds the attention of a layer of the source to its stream.
func (h *Healer) attend(l *decoder.Layer) error {
	for i := range h.lengths {
		x, err := h.source.Get(i)
		if err != nil {
			return err
		}
		decoder.Add(x, l.Attend(x))
		if err := h.source.Put(i, x); err != nil {
			return err
		}
	}
	return nil
}
