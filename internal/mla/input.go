package mla

import (
	"cmp"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/rope"
	"gonum.org/v1/gonum/mat"
)

// Attention is an attention layer with its statistics.
type Attention struct {
	calib.Projections
	Stack       *mat.Dense   // [2·G·D × d], keys over values
	Stats       *calib.Layer // of its activations
	Frequencies []float64    // [J]: ω_i, in radians per token
	moments     *rope.Moments
	rest        []rope.Rest       // [H]: factors of the content queries
	sample      []f32.Matrix      // attention inputs of some windows, [T × d] each
	layer       int               // its number
	biases      *family.Biases    // nil if there are none
	normed      calib.Projections // the same with the norms of its queries, see calib.WithoutHeadNorms
	normError   calib.NormError
	normEps     float64 // ε of these norms
}

// Copy returns a copy whose stack may be overwritten, for Convert to use up.
func (a *Attention) Copy() *Attention {
	c := *a
	c.Stack = mat.DenseCopyOf(a.Stack)
	return &c
}

// Input is a model to convert, and the statistics of its activations.
type Input struct {
	*family.Model
	Stats  calib.Reader // nil if there are none
	Method Method       // the one that the layers will be converted with

	// Shrinkage is η of the statistics (design §2). Zero means calib.Shrinkage.
	Shrinkage float64

	// Constants, [L], take the place of the constants of biases where there are no
	// statistics. Nothing does if it is nil.
	Constants []calib.Constant
}

// Read reads layer n of the model and derives its statistics. Errors are those of Analyse
// and of reading the sums.
func (in Input) Read(n int) (*Attention, error) { return in.ReadFrom(in.Attention(n), n) }

// ReadFrom is Read where the weights of layer n come through p.
func (in Input) ReadFrom(p calib.Projections, n int) (*Attention, error) {
	if in.Stats == nil {
		a, err := in.analyse(p, nil, n)
		if err == nil && in.Constants != nil {
			a.Stats.SetConstant(in.Constants[n])
		}
		return a, err
	}
	sums, err := in.Stats.Sums(n)
	if err != nil {
		return nil, err
	}
	if in.Method.Published() {
		sums = sums.Plain()
	}
	return in.analyse(p, sums, n)
}

// analyse is Analyse for the method, because published methods leave queries as they are.
func (in Input) analyse(p calib.Projections, sums *calib.Sums, n int) (*Attention, error) {
	a, err := Analyse(p, sums, cmp.Or(in.Shrinkage, calib.Shrinkage), in.Model, n)
	if err == nil && in.Method.Published() {
		clear(a.rest)
	}
	return a, err
}

// Analyse derives the statistics of layer n of m from sums, with the given shrinkage, or
// without data if sums is nil. P gives the weights of the layer. Errors are those of reading
// the weights, and those of calib.Observed.
func Analyse(p calib.Projections, sums *calib.Sums, shrinkage float64, m *family.Model, n int) (*Attention, error) {
	linear, normError, err := calib.WithoutHeadNorms(p, sums)
	if err != nil {
		return nil, err
	}
	stack, err := linear.KeyValue()
	if err != nil {
		return nil, err
	}
	a := &Attention{Projections: linear, Stack: stack, Frequencies: m.Frequencies(n), layer: n, normed: p, normError: normError, normEps: m.NormEps}
	a.biases, err = linear.Biases()
	if err != nil {
		return nil, err
	}
	if sums == nil {
		a.Stats, err = calib.DataFree(linear, stack, m.MaxPositions)
	} else {
		a.sample = sums.Sample
		a.Stats, err = calib.Observed(linear, stack, sums, shrinkage)
	}
	if err != nil {
		return nil, err
	}
	a.moments = a.Stats.Moments()
	a.rest = make([]rope.Rest, a.Stats.Heads)
	if a.Stats.Calibrated() { // without data the distances of a head are not known (design §4)
		for h := range a.rest {
			a.rest[h] = a.moments.Rest(h, a.Frequencies)
		}
	}
	return a, nil
}
