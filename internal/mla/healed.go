package mla

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/lowrank"
)

// Healable is a converted layer whose weights can be bettered.
type Healable interface {
	Converted
	// Weights returns what the layer computes with, in the parametrisation in which
	// it is written but for what the layout folds in exactly.
	Weights(a *Attention) (*heal.Weights, error)
	// Replace puts other weights of the same form in their place.
	Replace(a *Attention, w *heal.Weights) error
}

// Weights returns the layer's weights.
func (l *deepseekLayer) Weights(a *Attention) (*heal.Weights, error) {
	w, err := l.layer.weights(a)
	if err == nil && l.layout.LatentNorm == NormRMS {
		w.NormEps = l.layout.LatentEps * float64(l.layout.KVLoraRank) / float64(l.layout.Rank) // zeros of padding count in the mean
		w.Norm = constant(1, l.layout.Rank)
	}
	return w, err
}

// weights returns the layer's weights. Every query head has content keys and values of
// its own, as it has in the file.
func (l *Layer) weights(a *Attention) (*heal.Weights, error) {
	if l.Constants != nil {
		return nil, errors.New("internal: a layer whose biases stay is not healed")
	}
	s := a.Shape()
	H, D, r := s.Heads, s.HeadDim, l.Down.RawMatrix().Rows
	dr := l.Rotary.RawMatrix().Rows
	w := &heal.Weights{
		Heads: H, KeyHeads: H, Rotary: l.Rotary, DownK: l.Down,
		UpK: mat.NewDense(H*D, r, nil), UpV: mat.NewDense(H*D, r, nil),
		Frequencies: [][]float64{l.Key.Frequencies}, Interleaved: true, Scale: 1 / math.Sqrt(float64(D)),
	}
	width := s.Hidden
	if c := l.CompressedQuery; c != nil {
		w.QueryDown, width = c.Down, c.Down.RawMatrix().Rows
	}
	w.Query = mat.NewDense(H*(D+dr), width, nil)
	for h := range H {
		content, rotary, err := l.headQuery(a, h)
		if err != nil {
			return nil, err
		}
		stackInto(w.Query, h*(D+dr), content, rotary)
		keys, values := l.headUp(s, h)
		stackInto(w.UpK, h*D, keys)
		stackInto(w.UpV, h*D, values)
	}
	var err error
	w.Output, err = a.OutputRows(0, s.Hidden)
	return w, err
}

// Replace puts healed weights in the place of the layer's. Where the norms are
// linear the basis of what goes through them is free and is scaled as Convert does.
func (l *deepseekLayer) Replace(a *Attention, w *heal.Weights) error {
	if w.Norm == nil {
		normalise(w.DownK, a.Stats.Input, w.UpK, w.UpV)
	}
	if w.QueryDown != nil {
		normalise(w.QueryDown, a.Stats.Input, w.Query)
		l.layer.CompressedQuery = &lowrank.Factors{Down: w.QueryDown}
	}
	l.layer.healed, l.layer.Down, l.layer.Rotary, l.layer.Up = w, w.DownK, w.Rotary, nil
	return l.layer.bound(a)
}

// Weights returns the layer's weights.
func (l *referenceLayer) Weights(a *Attention) (*heal.Weights, error) {
	s := a.Shape()
	w := &heal.Weights{
		Heads: s.Heads, KeyHeads: s.KVHeads, Query: mat.NewDense(s.Heads*s.HeadDim, s.Hidden, nil),
		Rotary: l.Rotary, DownK: l.DownK, UpK: l.UpK, UpV: l.UpV, Scale: 1 / math.Sqrt(float64(s.HeadDim)),
	}
	if l.Split {
		w.DownV = l.DownV
	}
	for h := range s.Heads {
		rotary, content, err := l.headQuery(a, h)
		if err != nil {
			return nil, err
		}
		stackInto(w.Query, h*s.HeadDim, content, rotary)
	}
	for _, kept := range l.Keys.Kept {
		var own []float64
		for _, i := range kept {
			own = append(own, a.Frequencies[i])
		}
		w.Frequencies = append(w.Frequencies, own)
	}
	var err error
	w.Output, err = a.OutputRows(0, s.Hidden)
	return w, err
}

// Replace puts healed weights in the place of the layer's.
func (l *referenceLayer) Replace(_ *Attention, w *heal.Weights) error {
	l.healed, l.Rotary, l.DownK, l.DownV, l.UpK, l.UpV = w, w.Rotary, w.DownK, w.DownV, w.UpK, w.UpV
	return nil
}

// stackInto copies matrices into the rows of m from the given one on, one below the
// other. Those that are nil have no rows.
func stackInto(m *mat.Dense, row int, parts ...mat.Matrix) {
	_, c := m.Dims()
	for _, part := range parts {
		if d, ok := part.(*mat.Dense); part == nil || ok && d == nil {
			continue
		}
		n, _ := part.Dims()
		m.Slice(row, row+n, 0, c).(*mat.Dense).Copy(part)
		row += n
	}
}
