package layout

import (
	"errors"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/family"
)

// withBias puts the biases of head h, as the column of the constant channel, beside the
// projections to its content and its rotary query. Without biases it returns the
// projections as they are.
func (w *deepseekWriter) withBias(h int, content, rotary *mat.Dense) (withContent, withRotary *mat.Dense) {
	constants := w.layer.Constants
	if constants == nil {
		return content, rotary
	}
	var c, r mat.Dense
	c.Augment(content, constants.ContentQuery[h])
	r.Augment(rotary, constants.RotaryQuery[h])
	return &c, &r
}

// biases writes the biases that Transformers' class has.
func (w *deepseekWriter) biases() error {
	if w.layer.Constants == nil {
		return nil
	}
	channel := make([]float64, w.QLoraRank)
	channel[w.QLoraRank-1] = w.queryA * w.input // the constant 1, scaled as the other channels are
	err := errors.Join(writeVector(w.open(family.QABias), channel), writeVector(w.open(family.OBias), w.constant))
	if err != nil {
		return err
	}
	rotary := w.layer.Constants.RotaryKey
	return w.tensor(family.KVABias, 1, func(out *rowWriter) error {
		for range w.KVLoraRank {
			if err := out.write(nil, 0); err != nil {
				return err
			}
		}
		return out.rows(mat.NewVecDense(len(rotary), rotary), 1, w.stride(), w.RopeDim)
	})
}
