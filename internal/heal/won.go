package heal

import "github.com/mha2mla/mha2mla/internal/forward"

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
	for _, i := range h.held {
		w.Tokens += len(h.windows[i])
	}
	off, err := relativeErrors(h.source, []*forward.Streams{h.closed, h.converted}, h.held)
	if err != nil {
		return nil, err
	}
	w.Before, w.After = off[0], off[1]
	return w, nil
}

// relativeErrors returns ‖converted − source‖² / ‖source‖² over some windows for each of the
// converted streams; 0 if the source is zero. Errors are those of reading the streams.
func relativeErrors(source *forward.Streams, converted []*forward.Streams, windows []int) ([]float64, error) {
	off, size := make([]float64, len(converted)), 0.0
	for _, i := range windows {
		want, err := source.Get(i)
		if err != nil {
			return nil, err
		}
		size += want.SquaredNorm()
		for k, s := range converted {
			x, err := s.Get(i)
			if err != nil {
				return nil, err
			}
			off[k] += x.SquaredDistance(want)
		}
	}
	if size == 0 {
		return make([]float64, len(converted)), nil
	}
	for k := range off {
		off[k] /= size
	}
	return off, nil
}
