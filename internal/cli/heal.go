package cli

import (
	"fmt"
	"io"
	"sync"

	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/heal"
)

// Healing returns a function that shows how far healing is, and one that takes it
// off the screen.
func (u *ui) Healing() (report func(heal.Progress), finish func()) {
	show, finish := u.changing("healing")
	if show == nil {
		return nil, finish
	}
	var mu sync.Mutex
	parts := make(map[int]float64) // of each layer's steps
	return func(p heal.Progress) {
		mu.Lock()
		parts[p.Layer] = float64(p.Step) / float64(p.Steps)
		done := 0.0
		for _, part := range parts {
			done += part
		}
		mu.Unlock()
		what := fmt.Sprintf("healing layer %d of %d, error %.4f → %.4f", p.Layer+1, p.Layers, p.Before, p.Now)
		show(what, int64(done*float64(p.Steps)), int64(p.Layers*p.Steps))
	}, finish
}

// healing is what healing has won. Its fields are JSON output.
type healing struct {
	*heal.Won
	Layers []healedLayer `json:"layers"`
}

// healedLayer is what it has won in a layer.
type healedLayer struct {
	Layer int `json:"layer"`
	*heal.Result
}

// healingOf returns what a conversion says of healing; nil if no layer was healed.
func healingOf(r *convert.Result) *healing {
	if r == nil || r.Healing == nil {
		return nil
	}
	h := &healing{Won: r.Healing}
	for _, l := range r.Layers {
		if l.Heal != nil {
			h.Layers = append(h.Layers, healedLayer{l.Layer, l.Heal})
		}
	}
	return h
}

// print prints it for people.
func (h *healing) print(w io.Writer) error {
	if h == nil {
		return nil
	}
	for _, l := range h.Layers {
		if err := l.print(w); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "behind the last layer, on %d tokens held out: error without and with healing %.4f → %.4f\n", h.Tokens, h.Before, h.After)
	return err
}

// print prints what steps have won in a layer, or why it keeps its closed form.
func (l healedLayer) print(w io.Writer) (err error) {
	switch b := l.TakenBack; {
	case l.Steps > 0:
		_, err = fmt.Fprintf(w, "layer %-4d healed in %d steps: error on tokens held out %.4f → %.4f\n", l.Layer, l.Steps, l.Before, l.After)
	case b != nil:
		why := "it does no better by any that were tried"
		if b.Learned < b.Held {
			why = fmt.Sprintf("on those learned from it is %.4f, so that more text would help", b.Learned)
		}
		_, err = fmt.Fprintf(w, "layer %-4d keeps its closed form: %d steps took the error on tokens held out from %.4f to %.4f; %s\n", l.Layer, b.Steps, l.Before, b.Held, why)
	}
	return err
}
