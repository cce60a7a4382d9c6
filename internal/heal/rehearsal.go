package heal

import (
	"context"
	"errors"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/latent"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// Rehearsal takes several conversions of a model through its layers, side by side, to see
// what they lose altogether (design §4, the search). Errors of layers add up, die away and
// disturb the layers behind them in ways that no layer shows by itself.
type Rehearsal struct {
	decoder   forward.Decoder
	windows   int
	source    *forward.Streams
	converted []*forward.Streams
}

// NewRehearsal prepares to rehearse a number of conversions of m on windows of tokens. Temp
// names files for streams that do not fit into memory. Errors are those of reading the
// embedding and of these files.
func NewRehearsal(m *family.Model, windows tokens.Windows, conversions int, temp func() string) (r *Rehearsal, err error) {
	r = &Rehearsal{decoder: forward.Decoder{Model: m}, windows: len(windows)}
	r.source, err = embed(r.decoder, windows, temp)
	if err != nil {
		return nil, err
	}
	for range conversions {
		s, err := embed(r.decoder, windows, temp)
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		r.converted = append(r.converted, s)
	}
	return r, nil
}

// Close gives up the streams.
func (r *Rehearsal) Close() error {
	err := r.source.Close()
	for _, s := range r.converted {
		err = errors.Join(err, s.Close())
	}
	return err
}

// Layer takes the streams through layer n. Convert returns the weights of the layer in a
// conversion. It is called for one conversion after the other, so that the weights of one
// alone are in memory. Layers must come in order.
func (r *Rehearsal) Layer(ctx context.Context, n int, convert func(conversion int) (*latent.Weights, error)) error {
	layer, err := r.decoder.Layer(n)
	if err != nil {
		return err
	}
	err = f32.Each(ctx, r.windows, func(i int) error {
		return change(r.source, i, layer.Around, layer.Attend)
	})
	for k, s := range r.converted {
		if err != nil {
			return err
		}
		w, failed := convert(k)
		if failed != nil {
			return failed
		}
		attention := latent.New[float32](w)
		err = f32.Each(ctx, r.windows, func(i int) error { return through(layer.Around, s, i, attention) })
	}
	return err
}

// Losses returns how much each conversion has lost in the layers that the streams went
// through: the error ‖converted − source‖² / ‖source‖² of the residual stream behind the
// last one. Errors are those of reading the streams.
func (r *Rehearsal) Losses() ([]float64, error) {
	all := make([]int, r.windows)
	for i := range all {
		all[i] = i
	}
	return relativeErrors(r.source, r.converted, all)
}
