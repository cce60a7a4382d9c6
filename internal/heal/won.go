package heal

import "github.com/mha2mla/mha2mla/internal/f32"

// Won says how much healing has won altogether. Errors are ‖converted − source‖² /
// ‖source‖² of the residual stream behind the last layer, on tokens that no layer has
// learned from.
type Won struct {
	Tokens int     `json:"tokens_held_out"`
	Before float64 `json:"error_before"` // of the closed forms of all layers
	After  float64 `json:"error_after"`
}

// Won returns how much the layers that the streams went through have won. Errors are those
// of reading the streams.
func (h *Healer) Won() (*Won, error) {
	w := &Won{}
	before, after, size := 0.0, 0.0, 0.0
	for _, i := range h.held {
		want, err := h.source.Get(i)
		if err != nil {
			return nil, err
		}
		closed, err := h.closed.Get(i)
		if err != nil {
			return nil, err
		}
		healed, err := h.converted.Get(i)
		if err != nil {
			return nil, err
		}
		w.Tokens += h.lengths[i]
		before, after = before+squaredDistance(closed, want), after+squaredDistance(healed, want)
		size += squaredDistance(want, f32.New(want.Rows, want.Cols))
	}
	if size > 0 {
		w.Before, w.After = before/size, after/size
	}
	return w, nil
}

// squaredDistance returns ‖a − b‖².
func squaredDistance(a, b f32.Matrix) float64 {
	sum := 0.0
	for i, v := range a.Data {
		d := float64(v) - float64(b.Data[i])
		sum += d * d
	}
	return sum
}
