package mla

import (
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Bias says what becomes of the biases of queries, keys and values, for which the
// stock class has no place (design §8). Those of content keys shift all scores of a
// query alike, which the softmax cancels: they are always dropped, exactly.
type Bias string

// The two ways.
const (
	BiasFold Bias = "fold" // a linear functional of the input that is near 1 takes the place of the constant
	BiasHF   Bias = "hf"   // biases that Transformers alone reads: exact
)

// FoldsBiases reports whether something in the weights is to stand for the constant of
// the biases of m.
func (o *Options) FoldsBiases(m *family.Model) bool {
	return m.Biases && !o.PerHead && o.Method != MethodGroupedMean && o.Bias != BiasHF
}

// Constants are what a layer with biases adds to what its weights yield: exact, and for
// the one engine that has a place for them.
type Constants struct {
	ContentQuery []*mat.VecDense // [H] of [D]
	RotaryQuery  []*mat.VecDense // [H] of [dr]
	RotaryKey    []float64       // [dr]
	Value        []float64       // [G·D]
	Output       []float64       // [d]; nil: none
}

// constants places the biases b beside the weights of a layer whose rotary key is key.
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

// placeBiases gives the biases of the layer, if it has any, their place: in the
// weights of a, of its stack and of the rotary rows, or in l.Constants.
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

// Attended returns row i of what the attention adds whatever it attends to, given that
// row of W_o, [H·D]: W_o·b_v + b_o.
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
