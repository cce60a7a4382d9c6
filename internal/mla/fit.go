package mla

import (
	"context"
	"math"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/heal"
)

// FitTrial heals conversions of one layer, with one rotary key for all heads, for some
// steps on sampled attention inputs (design §4, the search). The loss of a conversion alone
// would mislead, because healing wins back some losses and not others: a rank that is
// missing stays missing, while a rotation that is missing is learned in part.
type FitTrial struct {
	*Attention
	sample heal.Sample
}

// NewFitTrial runs the source on the sample that came with the layer's statistics. It
// returns nil if there is no sample. Errors are those of reading the weights.
func (a *Attention) NewFitTrial() (*FitTrial, error) {
	if len(a.sample) == 0 {
		return nil, nil
	}
	t := &FitTrial{a, heal.Sample{Inputs: heal.Cut(a.sample)}}
	D, stack := a.Stats.HeadDim, f32.From[float32](a.Stack)
	out, err := a.OutputRows(0, a.Stats.Hidden)
	if err != nil {
		return nil, err
	}
	var mixed []f32.Matrix
	for _, x := range t.sample.Inputs {
		mixed = append(mixed, f32.New(x.Rows, a.Stats.Heads*D))
	}
	for h := range a.Stats.Heads {
		w, err := a.Query(h)
		if err != nil {
			return nil, err
		}
		query := f32.From[float32](w)
		for i, x := range t.sample.Inputs {
			q, k, v := a.sourceHead(x, h, query, stack)
			f32.Rotate(q, a.Frequencies, false)
			f32.Rotate(k, a.Frequencies, false)
			f32.Attention(mixed[i].ColumnsFrom(h*D, D), q, k, v, 1/math.Sqrt(float64(D)), 0, nil)
		}
	}
	for _, m := range mixed {
		t.sample.Targets = append(t.sample.Targets, f32.Project(m, f32.From[float32](out)))
	}
	return t, nil
}

// Loss converts a copy of the layer and heals it for that many steps. It returns the
// geometric mean of the relative square errors of its output on the sample before and
// after: the error that a whole healing leaves on other tokens lies between the two.
// Errors are those of Convert and heal.Fit.
func (t *FitTrial) Loss(ctx context.Context, o Options, steps int) (float64, error) {
	o.QueryNorm = false // the sample's targets are of queries whose norm is a constant
	o.KeyWeight = 1     // healing makes up for what another weight would win (design §5)
	l, err := t.Copy().Convert(o)
	if err != nil {
		return 0, err
	}
	w, err := l.Weights()
	if err != nil {
		return 0, err
	}
	before, after, err := heal.Fit(ctx, w, t.sample, steps)
	return math.Sqrt(before * after), err
}
