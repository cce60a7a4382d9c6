package mla

import (
	"cmp"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/rope"
	"gonum.org/v1/gonum/mat"
)

// Attention is an attention layer with what is known of it.
type Attention struct {
	calib.Projections
	Stack       *mat.Dense   // [2·G·D × d], keys over values
	Stats       *calib.Layer // what goes through the layer
	Frequencies []float64    // ω_i, [J]
	moments     *rope.Moments
	rest        []rope.Rest  // [H]: what content queries are multiplied with
	sample      []f32.Matrix // attention inputs, [T × d] each
	layer       int
	biases      *family.Biases // nil: none
	normError   float64        // see calib.WithoutHeadNorms
}

// Copy returns a copy for Convert to use up.
func (a *Attention) Copy() *Attention {
	c := *a
	c.Stack = mat.DenseCopyOf(a.Stack)
	return &c
}

// Input is a model to convert, and what is known of its activations.
type Input struct {
	*family.Model
	Stats  calib.Reader // nil: nothing
	Method Method       // that the layers will be converted with

	// Shrinkage of the statistics; 0: calib.Shrinkage.
	Shrinkage float64

	// Constants, [layers], stand for the constants of biases where there are no
	// statistics; nil: nothing does.
	Constants []calib.Constant
}

// Read reads layer n of a model and derives its statistics.
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

// analyse is Analyse for the method: published ones leave queries as they are.
func (in Input) analyse(p calib.Projections, sums *calib.Sums, n int) (*Attention, error) {
	a, err := Analyse(p, sums, cmp.Or(in.Shrinkage, calib.Shrinkage), in.Model, n)
	if err == nil && in.Method.Published() {
		clear(a.rest)
	}
	return a, err
}

// Analyse derives the statistics of layer n of m from sums, with the given shrinkage, or
// without data if these are nil.
func Analyse(p calib.Projections, sums *calib.Sums, shrinkage float64, m *family.Model, n int) (*Attention, error) {
	p, normError, err := calib.WithoutHeadNorms(p, sums)
	if err != nil {
		return nil, err
	}
	stack, err := p.KeyValue()
	if err != nil {
		return nil, err
	}
	a := &Attention{Projections: p, Stack: stack, Frequencies: m.Frequencies(), layer: n, normError: normError}
	if a.biases, err = p.Biases(); err != nil {
		return nil, err
	}
	if sums == nil {
		a.Stats, err = calib.DataFree(p, stack, m.MaxPositions)
	} else {
		a.sample = sums.Sample
		a.Stats, err = calib.Observed(p, stack, sums, shrinkage)
	}
	if err != nil {
		return nil, err
	}
	a.moments = a.Stats.Moments()
	a.rest = make([]rope.Rest, a.Stats.Heads)
	if a.Stats.Calibrated() { // what heads attend to is not the same for all, and else unknown
		for h := range a.rest {
			a.rest[h] = a.moments.Rest(h, a.Frequencies)
		}
	}
	return a, nil
}
