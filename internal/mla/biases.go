package mla

import (
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Bias says how the biases of queries, keys and values are converted, for which the stock
// class has no place (design §8). Biases of content keys shift all scores of a query alike,
// which the softmax cancels, so that they are always dropped, exactly.
type Bias string

// The two ways.
const (
	BiasFold Bias = "fold" // a linear functional of the input takes the place of the constant 1
	BiasHF   Bias = "hf"   // biases stay biases, exactly, and Transformers alone reads them
)

// FoldsBiases reports whether a functional in the weights takes the place of the constant
// that the biases of m multiply.
func (o *Options) FoldsBiases(m *family.Model) bool {
	return m.Biases && !o.PerHead && o.Method != MethodGroupedMean && o.Bias != BiasHF
}

// Constants are the biases of a converted layer, which are added to the products of its
// weights. They are exact, and one engine alone has a place for them (design §8).
type Constants struct {
	ContentQuery []*mat.VecDense // [H] of [D]
	RotaryQuery  []*mat.VecDense // [H] of [dr]
	RotaryKey    []float64       // [dr]
	Value        []float64       // [G·D]
	Output       []float64       // [d], nil if the output projection has no bias
}

// constants converts the biases b for a layer with the given shared key. RotaryKey is its
// Collect times the bias of the keys, [dr].
func (a *Attention) constants(b *family.Biases, key *rope.SharedKey, rotaryKey []float64) *Constants {
	c := &Constants{RotaryKey: rotaryKey, Value: b.Value, Output: b.Output}
	s := a.Shape()
	D := s.HeadDim
	for h := range s.Heads {
		query := asVector(b.Query[h*D : (h+1)*D])
		var rotary mat.VecDense
		rotary.MulVec(block(key.Expand, s.KVHead(h), D).T(), query)
		c.ContentQuery = append(c.ContentQuery, a.rest[h].Turn(query).ColView(0).(*mat.VecDense))
		c.RotaryQuery = append(c.RotaryQuery, &rotary)
	}
	return c
}

// placeBiases puts the biases of the layer, if it has any, where the given way says: folded
// into the queries of a, the values of its stack and the rotary rows of l, or as
// l.Constants.
func (a *Attention) placeBiases(l *Layer, how Bias) {
	if a.biases == nil {
		return
	}
	var rotary mat.VecDense
	rotary.MulVec(l.Key.Collect, asVector(a.biases.Key))
	if how == BiasHF {
		l.Constants = a.constants(a.biases, l.Key, rotary.RawVector().Data)
		return
	}
	u := a.Stats.Constant().Functional
	l.BiasError = a.Stats.Constant().Left
	if u == nil {
		return
	}
	l.Rotary.RankOne(l.Rotary, 1, &rotary, asVector(u))
	rows, d := a.Stack.Dims()
	values := a.Stack.Slice(rows/2, rows, 0, d).(*mat.Dense)
	values.RankOne(values, 1, asVector(a.biases.Value), asVector(u))
	a.Projections = calib.Folded(a.Projections, a.biases, u)
}

// asVector views v as a column.
func asVector(v []float64) *mat.VecDense { return mat.NewVecDense(len(v), v) }

// Attended returns element i of W_o·b_v + b_o, which the attention adds whatever it attends
// to. Row is row i of W_o, [H·D].
func (c *Constants) Attended(s family.Shape, row []float64, i int) float64 {
	sum := 0.0
	if c.Output != nil {
		sum = c.Output[i]
	}
	for h := range s.Heads {
		g := s.KVHead(h)
		for j, v := range c.Value[g*s.HeadDim : (g+1)*s.HeadDim] {
			sum += row[h*s.HeadDim+j] * v
		}
	}
	return sum
}
