package heal

import (
	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/latent"
)

// through takes the stream of window i through a layer, with the given attention in the place of
// the source's. The norm and the MLP around it stay.
func through(around *forward.Around, s *forward.Streams, i int, attention *latent.Layer[float32]) error {
	return change(s, i, around, func(x f32.Matrix) f32.Matrix {
		return attention.Forward(latent.Batch[float32]{X: around.Input(x), Lengths: []int{x.Rows}}).Output
	})
}

// change adds to the stream x of window i what an attention does, then what the MLP does.
func change(s *forward.Streams, i int, around *forward.Around, attend func(x f32.Matrix) f32.Matrix) error {
	x, err := s.Get(i)
	if err != nil {
		return err
	}
	x.Add(attend(x))
	added, err := around.MLP(x)
	if err != nil {
		return err
	}
	x.Add(added)
	return s.Put(i, x)
}
