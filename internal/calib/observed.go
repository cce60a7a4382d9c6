package calib

import (
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/linalg"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Shrinkage is the part of the mean variance that is added to every direction of C unless
// another is known to be better: what was never seen must not be taken for impossible.
const Shrinkage = 1e-2

// leastSeen is the part of γ², the mean square that RMSNorm gives its output, that
// is added at least: inputs that were so small that ε decided their size, or zero,
// say nothing of others.
const leastSeen = 1e-8

// attendedPart is the part in C of inputs as they are attended to. An error of a
// key or a value counts as often as its token is looked at; on the other hand a
// few tokens are looked at so much that they alone would decide. On eight cases of
// four checkpoints a half takes 3 % off the divergence on average and 11 % at
// most, against none; 0.3 to 0.8 are as good.
const attendedPart = 0.5

// Observed returns the statistics of a layer of which sums were gathered, with the given
// shrinkage. Stack is the layer's KeyValue. Errors are those of reading the weights.
func Observed(p Projections, stack *mat.Dense, sums *Sums, shrinkage float64) (*Layer, error) {
	l := &Layer{Shape: p.Shape(), concentration: 1}
	gamma, err := p.Norm()
	if err != nil {
		return nil, err
	}
	any := linalg.DiagonalMetric(gamma)
	c := inputMoments(sums)
	lift := max(shrinkage*mat.Trace(c), leastSeen*any.Trace()) / float64(l.Hidden)
	for j := range l.Hidden {
		c.SetSym(j, j, c.At(j, j)+lift)
	}
	if l.Input = any; lift > 0 { // else γ is zero, and so is C
		if l.Input, err = linalg.NewMetric(c); err != nil {
			return nil, err
		}
	}
	l.Distances = normalised(sums.Distances)
	l.HeadDistances = headDistances(sums)
	l.Near = rope.DataFreeNear(len(l.Distances))
	l.queryNorms, l.keyNorms = mean(sums.QueryNorms, sums.Tokens), mean(sums.KeyNorms, sums.Tokens)
	l.scores, l.values = mean(sums.Scores, sums.Tokens), mean(sums.Values, sums.Tokens)
	l.constant = none
	if b, err := p.Biases(); err != nil {
		return nil, err
	} else if b != nil {
		l.constant = sums.constant()
	}
	m := mean(sums.Mean, sums.Tokens)
	if sums.Attended != nil { // whose mean is not known
		m = mean(m, 1/(1-attendedPart))
	}
	return l, l.project(p, stack, m)
}

// headDistances returns the distances at which an error of each head's scores matters.
// Attention itself, which they leave out, is dominated by the first token, of which
// errors cost nothing.
func headDistances(sums *Sums) []rope.Distances {
	window, all := len(sums.Distances), []rope.Distances(nil)
	for h, scores := range sums.Scores {
		own := sums.HeadDistances[h*window : (h+1)*window]
		if scores == 0 { // a dead head
			own = sums.Distances
		}
		all = append(all, normalised(own))
	}
	return all
}

// inputMoments returns C, before anything is added to it.
func inputMoments(sums *Sums) *mat.SymDense {
	c := mat.NewSymDense(sums.Input.SymmetricDim(), nil)
	if sums.Attended == nil {
		c.ScaleSym(1/sums.Tokens, sums.Input)
		return c
	}
	c.ScaleSym((1-attendedPart)/sums.Tokens, sums.Input)
	attended := mat.NewSymDense(c.SymmetricDim(), nil)
	attended.ScaleSym(attendedPart/total(sums.Values), sums.Attended)
	c.AddSym(c, attended)
	return c
}

// normalised divides by the total.
func normalised(v []float64) []float64 { return mean(v, total(v)) }

func total(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum
}

func mean(sums []float64, n float64) []float64 {
	v := make([]float64, len(sums))
	for i, s := range sums {
		v[i] = s / n
	}
	return v
}
