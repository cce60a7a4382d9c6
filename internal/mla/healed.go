package mla

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/latent"
)

// healedForm gives heads as healing has left them, in a layer of either kind.
type healedForm struct{ weights *latent.Weights }

// Query returns the projections of head h, which are neighbours among the rows.
func (f healedForm) Query(h int) (content, rotary *mat.Dense, err error) {
	w := f.weights
	query := block(w.Query, h, w.Query.RawMatrix().Rows/w.Heads)
	rows, width := query.Dims()
	still := rows - w.Rotary.RawMatrix().Rows/len(w.Frequencies)
	if still > 0 {
		content = query.Slice(0, still, 0, width).(*mat.Dense)
	}
	return content, query.Slice(still, rows, 0, width).(*mat.Dense), nil
}

// Output returns rows of W_o.
func (f healedForm) Output(from, to int) (*mat.Dense, error) {
	_, width := f.weights.Output.Dims()
	return f.weights.Output.Slice(from, to, 0, width).(*mat.Dense), nil
}

// Weights returns the weights that the layer computes with, to be healed. Every query head
// has its own content keys and values, as in the file that is written. There is no norm on
// the latent; a layout that has one adds it to the result. It is an error if the source
// cannot be read, or if the layer has Constants, for which healing has no place.
func (l *Layer) Weights() (*latent.Weights, error) {
	if l.Constants != nil {
		return nil, errors.New("internal: a layer whose biases stay is not healed")
	}
	s := l.Source.Shape()
	H, D, r := s.Heads, s.HeadDim, l.Down.RawMatrix().Rows
	dr := l.Rotary.RawMatrix().Rows
	w := &latent.Weights{
		Heads: H, KeyHeads: H, QueryDown: l.QueryDown, QueryNorm: l.QueryNorm, QueryEps: l.QueryEps, Rotary: l.Rotary, DownK: l.Down,
		UpK: mat.NewDense(H*D, r, nil), UpV: mat.NewDense(H*D, r, nil),
		Frequencies: [][]float64{l.Key.Frequencies}, Interleaved: true, Scale: 1 / math.Sqrt(float64(D)),
	}
	width := s.Hidden
	switch {
	case l.QueryNorm != nil:
		width = D
	case l.QueryDown != nil:
		width = l.QueryDown.RawMatrix().Rows
	}
	w.Query = mat.NewDense(H*(D+dr), width, nil)
	for h := range H {
		content, rotary, err := l.Heads.Query(h)
		if err != nil {
			return nil, err
		}
		stackInto(w.Query, h*(D+dr), content, rotary)
		keys, values := l.Up(h)
		stackInto(w.UpK, h*D, keys)
		stackInto(w.UpV, h*D, values)
	}
	var err error
	w.Output, err = l.Heads.Output(0, s.Hidden)
	return w, err
}

// Replace puts healed weights, of the form that Weights returns, in the place of the
// layer's. Without a norm the basis of the latent is free, and is scaled as Convert does. It
// is an error if the source cannot be read.
func (l *Layer) Replace(w *latent.Weights) error {
	input := l.Source.Stats.Input
	if w.Norm == nil {
		normalise(w.DownK, input, w.UpK, w.UpV)
	}
	if w.QueryDown != nil && w.QueryNorm == nil {
		normalise(w.QueryDown, input, w.Query)
	}
	l.Heads = healedForm{w}
	l.Down, l.UpK, l.UpV, l.Norm = w.DownK, w.UpK, w.UpV, w.Norm
	l.Rotary, l.QueryDown, l.QueryNorm = w.Rotary, w.QueryDown, w.QueryNorm
	return l.bound()
}

// Weights returns the weights that the layer computes with, to be healed. It is an error if
// the source cannot be read.
func (l *HeadLayer) Weights() (*latent.Weights, error) {
	s := l.Source.Shape()
	w := &latent.Weights{
		Heads: s.Heads, KeyHeads: s.KVHeads, Query: mat.NewDense(s.Heads*s.HeadDim, s.Hidden, nil),
		Rotary: l.Rotary, DownK: l.DownK, UpK: l.UpK, UpV: l.UpV, Scale: 1 / math.Sqrt(float64(s.HeadDim)),
	}
	if l.DownV != l.DownK {
		w.DownV = l.DownV
	}
	for h := range s.Heads {
		content, rotary, err := l.Heads.Query(h)
		if err != nil {
			return nil, err
		}
		stackInto(w.Query, h*s.HeadDim, content, rotary)
	}
	for _, kept := range l.Keys.Kept {
		var own []float64
		for _, i := range kept {
			own = append(own, l.Source.Frequencies[i])
		}
		w.Frequencies = append(w.Frequencies, own)
	}
	var err error
	w.Output, err = l.Heads.Output(0, s.Hidden)
	return w, err
}

// Replace puts healed weights, of the form that Weights returns, in the place of the
// layer's.
func (l *HeadLayer) Replace(w *latent.Weights) {
	l.Heads = healedForm{w}
	l.Rotary, l.DownK, l.DownV, l.UpK, l.UpV = w.Rotary, w.DownK, w.DownV, w.UpK, w.UpV
	if w.DownV == nil {
		l.DownV = w.DownK
	}
}

// stackInto copies matrices into the rows of m from the given one on, one below the other.
// A nil matrix has no rows.
func stackInto(m *mat.Dense, row int, parts ...*mat.Dense) {
	_, c := m.Dims()
	for _, part := range parts {
		if part == nil {
			continue
		}
		n, _ := part.Dims()
		m.Slice(row, row+n, 0, c).(*mat.Dense).Copy(part)
		row += n
	}
}
