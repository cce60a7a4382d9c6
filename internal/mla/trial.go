package mla

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/f32"
)

// Trial runs conversions of one layer on sampled attention inputs (design §4, the search).
// What predictions leave out is in its measure: the softmax, and how the errors of different
// pairs and of keys and values add up.
type Trial struct {
	*Attention
	roots   []f32.Matrix // [H] of [D × D]: Lᵀ with L·Lᵀ = W_o^hᵀ W_o^h
	windows []trialWindow
	energy  float64 // Σ ‖W_o^h o‖² over the heads and tokens of the source
}

// trialWindow is one window of T tokens.
type trialWindow struct {
	x       f32.Matrix   // [T × d]
	queries []f32.Matrix // [H] of [T × D]
	outputs []f32.Matrix // [H] of [T × D]: outputs of the source's heads, times L
	excess  []float32    // [T]: u·x − 1 of the functional u that takes the place of 1
}

// NewTrial runs the source on the sample that came with the layer's statistics. It returns
// nil if there is no sample. Errors are those of reading the weights.
func (a *Attention) NewTrial() (*Trial, error) {
	if len(a.sample) == 0 {
		return nil, nil
	}
	t := &Trial{Attention: a}
	stack := f32.From[float32](a.Stack)
	for _, x := range a.sample {
		t.windows = append(t.windows, trialWindow{x: x, excess: a.excess(x)})
	}
	for h := range a.Stats.Heads {
		t.roots = append(t.roots, a.Stats.OutputRoot(h).Transpose())
		w, err := a.Query(h)
		if err != nil {
			return nil, err
		}
		query := f32.From[float32](w)
		for i := range t.windows {
			t.windows[i].add(t, h, query, stack)
		}
	}
	return t, nil
}

// add runs head h of the source, whose query projection is query, [D × d], on the window.
func (w *trialWindow) add(t *Trial, h int, query, stack f32.Matrix) {
	q, k, v := t.sourceHead(w.x, h, query, stack)
	w.queries = append(w.queries, q.Clone())
	f32.Rotate(q, t.Frequencies, false)
	f32.Rotate(k, t.Frequencies, false)
	y := t.attend(h, q, k, v)
	w.outputs = append(w.outputs, y)
	t.energy += y.SquaredNorm()
}

// sourceHead returns the queries, keys and values of head h of the source for inputs x,
// [T × d], before they are rotated, [T × D] each. Query, [D × d], is the head's projection
// and stack that of all keys and values.
func (a *Attention) sourceHead(x f32.Matrix, h int, query, stack f32.Matrix) (q, k, v f32.Matrix) {
	D, G, g := a.Stats.HeadDim, a.Stats.KVHeads, a.Stats.KVHead(h)
	q = f32.Project(x, query)
	k, v = f32.Project(x, stack.RowsFrom(g*D, D)), f32.Project(x, stack.RowsFrom((G+g)*D, D))
	if b := a.biases; b != nil {
		q.AddRow(f32.Single(b.Query[h*D:(h+1)*D]), nil)
		k.AddRow(f32.Single(b.Key[g*D:(g+1)*D]), nil)
		v.AddRow(f32.Single(b.Value[g*D:(g+1)*D]), nil)
	}
	return q, k, v
}

// attend returns the output of head h times L, [T × D].
func (t *Trial) attend(h int, q, k, v f32.Matrix) f32.Matrix {
	o := f32.New(q.Rows, v.Cols)
	f32.Attention(o, q, k, v, 1/math.Sqrt(float64(t.Stats.HeadDim)), 0, nil)
	return f32.Project(o, t.roots[h])
}

// keyWeights are the candidates for κ (design §5). To first order 1 is right, and on small
// checkpoints it is the best. Where errors of scores are large it is not: on a checkpoint of
// 135 M parameters 8 takes a quarter off the divergence, and 3 most of that.
var keyWeights = []float64{1, 3, 9}

// bestKeyWeight returns the κ that is best on the sample, or 1 if there is none.
func (a *Attention) bestKeyWeight(o Options) (float64, error) {
	if o.Weights != WeightsCalibrated {
		return 1, nil
	}
	t, err := a.NewTrial()
	if err != nil || t == nil {
		return 1, err
	}
	weight, _, err := t.best(o)
	return weight, err
}

// Loss returns the mean square error of the attention output on the sample that a conversion
// of the layer makes, relative to the mean square of the output, with heads taken for
// unrelated. If o leaves κ open, it is that of the best one. Errors are those of Convert.
func (t *Trial) Loss(o Options) (float64, error) {
	if o.KeyWeight != 0 {
		return t.loss(o)
	}
	_, loss, err := t.best(o)
	return loss, err
}

// best returns the κ that loses least, and its loss.
func (t *Trial) best(o Options) (weight, loss float64, err error) {
	o.QueryRank, o.QueryNorm = 0, false // a trial uses the source's queries, so that compressing them would be in vain
	weight, loss = keyWeights[0], math.Inf(1)
	for _, w := range keyWeights {
		o.KeyWeight = w
		now, err := t.loss(o)
		if err != nil {
			return 0, 0, err
		}
		if now < loss {
			weight, loss = w, now
		}
	}
	return weight, loss, nil
}

// loss converts a copy of the layer by o and returns its loss.
func (t *Trial) loss(o Options) (float64, error) {
	l, err := t.Copy().Convert(o)
	if err != nil {
		return 0, err
	}
	var ups mat.Dense
	ups.Stack(l.UpK, l.UpV)
	down, up, rotary := f32.From[float32](l.Down), f32.From[float32](&ups), f32.From[float32](l.Rotary)
	expand := f32.From[float32](mat.DenseCopyOf(l.Key.Expand.T()))
	D, G := t.Stats.HeadDim, t.Stats.KVHeads
	sum := 0.0
	for _, w := range t.windows {
		kv := f32.Project(f32.Project(w.x, down), up)
		shared := f32.Project(w.x, rotary)
		if l.Constants != nil {
			shared.AddRow(f32.Single(l.Constants.RotaryKey), nil)
		}
		f32.Rotate(shared, l.Key.Frequencies, true)
		for h, q := range w.queries {
			g := t.Stats.KVHead(h)
			values := kv.ColumnsFrom((G+g)*D, D)
			switch {
			case l.Constants != nil:
				values = values.Clone()
				values.AddRow(f32.Single(l.Constants.Value[g*D:(g+1)*D]), nil)
			case t.biases != nil:
				q = q.Clone()
				q.AddRow(f32.Single(t.biases.Query[h*D:(h+1)*D]), w.excess)
			}
			turned := f32.Project(q, expand.ColumnsFrom(g*D, D))
			f32.Rotate(turned, l.Key.Frequencies, true)
			y := t.attend(h, f32.Beside(t.content(h, q), turned), f32.Beside(kv.ColumnsFrom(g*D, D), shared), values)
			sum += y.SquaredDistance(w.outputs[h])
		}
	}
	return ratio(sum, t.energy), nil
}

// content returns the content queries of head h for the source's queries q, [T × D].
func (t *Trial) content(h int, q f32.Matrix) f32.Matrix {
	c := q.Clone()
	for s := range c.Rows {
		t.rest[h].TurnRow(c.Data[s*c.Stride : s*c.Stride+c.Cols])
	}
	return c
}

// excess returns u·x − 1 for each row x of the inputs, [T], where u is the functional that
// takes the place of the constant of biases. It returns nil if there are no biases.
func (a *Attention) excess(x f32.Matrix) []float32 {
	if a.biases == nil {
		return nil
	}
	u := a.Stats.Constant().Functional
	off := make([]float32, x.Rows)
	for t := range off {
		sum := -1.0
		for j, v := range u {
			sum += v * float64(x.Data[t*x.Stride+j])
		}
		off[t] = float32(sum)
	}
	return off
}
