package layout

import (
	"errors"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/latent"
	"github.com/mha2mla/mha2mla/internal/mla"
)

// Convert converts a layer. Errors are those of mla.Attention.ConvertPerHead.
func (r *Reference) Convert(a *mla.Attention) (Converted, error) {
	l, err := a.ConvertPerHead(r.maths)
	return &referenceLayer{r, l}, err
}

// referenceLayer is a layer in the reference's form.
type referenceLayer struct {
	layout *Reference
	layer  *mla.HeadLayer
}

// Summary says how much of the layer was kept.
func (l *referenceLayer) Summary() Summary {
	return Summary{Energy: l.layer.Energy, Pairs: l.layer.Keys.Kept, Ranking: l.layer.Keys.Ranking, Fallback: l.layer.Fallback}
}

// Weights returns the layer's weights, to be healed.
func (l *referenceLayer) Weights() (*latent.Weights, error) { return l.layer.Weights() }

// Replace puts healed weights in the place of the layer's.
func (l *referenceLayer) Replace(w *latent.Weights) error {
	l.layer.Replace(w)
	return nil
}

// Write writes the tensors of the layer. Of the queries it writes the rotary rows of all
// heads first, then the content rows of all heads. The norm is copied, and so is the output
// projection unless layers are healed or trained.
func (l *referenceLayer) Write(open func(name string) Sink) error {
	if err := l.writeQuery(open(family.QProj)); err != nil {
		return err
	}
	tensors := []struct {
		name string
		m    *mat.Dense
	}{
		{family.KRProj, l.layer.Rotary}, {family.UpK, l.layer.UpK}, {family.UpV, l.layer.UpV},
		{family.DownKV, l.layer.DownK}, {family.DownV, l.layer.DownV},
	}
	if l.layout.Split {
		tensors[3].name = family.DownK
	} else {
		tensors = tensors[:4]
	}
	for _, t := range tensors {
		if err := writeMatrix(open(t.name), t.m); err != nil {
			return err
		}
	}
	if err := l.writeBiases(open); err != nil || !l.layout.maths.Trains() {
		return err
	}
	output, err := l.layer.Heads.Output(0, l.layer.Source.Shape().Hidden)
	if err != nil {
		return err
	}
	return writeMatrix(open(family.OProj), output)
}

// writeQuery writes the query projection.
func (l *referenceLayer) writeQuery(sink Sink) error {
	s := l.layer.Source.Shape()
	return writeTensor(sink, s.Hidden, func(out *rowWriter) error {
		for _, wantRotary := range []bool{true, false} {
			for h := range s.Heads {
				content, rotary, err := l.layer.Heads.Query(h)
				if err != nil {
					return err
				}
				rows := content
				if wantRotary {
					rows = rotary
				}
				if err := out.all(rows); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// writeBiases writes the biases, if there are any, in the order of the rows.
func (l *referenceLayer) writeBiases(open func(name string) Sink) error {
	c := l.layer.Constants
	if c == nil {
		return nil
	}
	query := append(slices.Concat(c.RotaryQuery...), slices.Concat(c.ContentQuery...)...)
	return errors.Join(writeVector(open(family.QBias), query), writeVector(open(family.KRBias), c.RotaryKey),
		writeVector(open(family.UpKBias), c.ContentKey), writeVector(open(family.UpVBias), c.Value))
}
