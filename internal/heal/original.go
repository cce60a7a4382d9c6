package heal

import (
	"errors"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/latent"
)

// original is a layer of the source. Its converted form has the same norm and MLP.
type original struct {
	layer *forward.Layer
	norm  []float32 // γ
	eps   float64
}

// originalOf reads layer n of the source.
func originalOf(d forward.Decoder, n int) (*original, error) {
	layer, err := d.Layer(n)
	if err != nil {
		return nil, err
	}
	norm, err := d.Attention(n).Norm()
	if err != nil {
		return nil, err
	}
	return &original{layer, f32.Single(norm), d.NormEps}, nil
}

// input returns the attention input for a residual stream, [T × d].
func (o *original) input(x f32.Matrix) f32.Matrix {
	in := f32.New(x.Rows, x.Cols)
	f32.RMSNorm(in, x, o.norm, o.eps)
	return in
}

// through takes the stream of window i through the layer, with the given attention in the
// place of the source's.
func (o *original) through(s *forward.Streams, i int, attention *latent.Layer[float32]) error {
	err := change(s, i, func(x f32.Matrix) f32.Matrix {
		in := o.input(x)
		return attention.Forward(latent.Batch[float32]{X: in, Lengths: []int{in.Rows}}).Output
	})
	return errors.Join(err, change(s, i, o.layer.MLP))
}

// change adds f(x) to the stream x of window i.
func change(s *forward.Streams, i int, f func(x f32.Matrix) f32.Matrix) error {
	x, err := s.Get(i)
	if err != nil {
		return err
	}
	x.Add(f(x))
	return s.Put(i, x)
}
