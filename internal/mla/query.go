package mla

import (
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/lowrank"
)

// compressQuery factors the stacked queries of all heads, [H·D × d], at the rank that the
// options give. An error of the query costs what it does to the scores, so that the measure
// is that of the keys with queries and keys in each other's place (design §5).
func (a *Attention) compressQuery(o Options) (*lowrank.Factors, error) {
	H, D, d := a.Stats.Heads, a.Stats.HeadDim, a.Stats.Hidden
	p := lowrank.Problem{Stack: mat.NewDense(H*D, d, nil)}
	for h := range H {
		q, err := a.Query(h)
		if err != nil {
			return nil, err
		}
		p.Stack.Slice(h*D, (h+1)*D, 0, d).(*mat.Dense).Copy(q)
	}
	if o.Weights != WeightsNone {
		p.Right = a.Stats.Input
	}
	if o.Weights == WeightsAttention || o.Weights == WeightsCalibrated {
		p.Left = a.Stats.QueryWeights(a.Frequencies)
	}
	f, err := lowrank.Factor(p, o.QueryRank)
	if err != nil {
		return nil, err
	}
	normalise(f.Down, a.Stats.Input, f.Up)
	return f, nil
}

// normQuery has the queries of l pass the source's own norm. What is compressed are then the
// source's queries before that norm.
func (a *Attention) normQuery(l *Layer) error {
	s := a.Shape()
	norms, err := a.normed.HeadNorms()
	if err != nil {
		return err
	}
	l.QueryDown = mat.NewDense(s.Heads*s.HeadDim, s.Hidden, nil)
	for h := range s.Heads {
		q, err := a.normed.Query(h)
		if err != nil {
			return err
		}
		stackInto(l.QueryDown, h*s.HeadDim, q)
	}
	l.QueryNorm, l.QueryEps, l.NormError = norms.Query, a.normEps, a.normError.Keys
	return nil
}
