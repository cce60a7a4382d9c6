package mla

import (
	"errors"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/family"
)

// KeepBiases gives the layout the biases of Transformers' class. The queries have
// none there; theirs come through one more channel of the compressed query, which
// is constant.
func (d *Deepseek) KeepBiases(s family.Shape) {
	if d.QLoraRank == 0 {
		d.QLoraRank, d.exactQuery = s.Hidden, true
	}
	d.QLoraRank++
	d.biased = true
}

// withBias puts the biases of head h, as the column of the constant channel, beside
// the projections to its content and its rotary query; without biases these stay as
// they are.
func (w *deepseekWriter) withBias(h int, content, rotary mat.Matrix) (withContent, withRotary mat.Matrix) {
	if w.Constants == nil {
		return content, rotary
	}
	g, D := w.shape.KVHead(h), w.shape.HeadDim
	bias := asVector(w.Constants.Query[h*D : (h+1)*D])
	var turned mat.VecDense
	turned.MulVec(w.Key.Expand.Slice(g*D, (g+1)*D, 0, w.RopeDims).T(), bias)
	var c, r mat.Dense
	c.Augment(content, w.Rest[h].Turn(bias))
	r.Augment(rotary, &turned)
	return &c, &r
}

// biases writes the biases that Transformers' class has.
func (w *deepseekWriter) biases() error {
	if w.Constants == nil {
		return nil
	}
	channel := make([]float64, w.QLoraRank)
	channel[w.QLoraRank-1] = w.queryA * w.input // 1, scaled as the other channels are
	err := errors.Join(writeVector(w.open(family.QABias), channel), writeVector(w.open(family.OBias), w.constant))
	if err != nil {
		return err
	}
	return w.tensor(family.KVABias, 1, func(out *rowWriter) error {
		for range w.KVLoraRank {
			if err := out.write(nil, 0); err != nil {
				return err
			}
		}
		return out.rows(asVector(w.Constants.Rotary), 1, w.stride(), w.RopeDim)
	})
}
