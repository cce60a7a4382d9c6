package calib

import (
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/linalg"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Shrinkage is the part η of the mean variance that is added to every direction of C unless
// another is known to be better (design §2). It keeps directions that were never seen from
// counting as impossible.
const Shrinkage = 1e-2

// leastSeen is the part of γ², the mean square that RMSNorm gives its output, that is
// added at least. Inputs that are zero, or so small that ε decided their size, say nothing
// of others.
const leastSeen = 1e-8

// attendedPart is the part that the moments of inputs as they are attended to have in C
// (design §2). An error of a key or a value counts as often as its token is looked at. On
// the other hand a few tokens are looked at so much that they alone would decide. On eight
// cases of four checkpoints a half takes 3 % off the divergence on average and 11 % at
// most, against none; 0.3 to 0.8 are as good.
const attendedPart = 0.5

// Observed returns the statistics of a layer of which sums were gathered, with the given
// shrinkage η (design §2). Stack is the layer's KeyValue, [2·G·D × d]. Errors are those of
// reading the weights, and a linalg.NumericError if the moments are not positive definite.
func Observed(p Projections, stack *mat.Dense, sums *Sums, shrinkage float64) (*Layer, error) {
	l := &Layer{Shape: p.Shape(), concentration: 1}
	gamma, err := p.Norm()
	if err != nil {
		return nil, err
	}
	normed := linalg.DiagonalMetric(gamma) // what RMSNorm alone says of x
	c := inputMoments(sums)
	lift := max(shrinkage*mat.Trace(c), leastSeen*normed.Trace()) / float64(l.Hidden)
	for j := range l.Hidden {
		c.SetSym(j, j, c.At(j, j)+lift)
	}
	l.Input = normed
	if lift > 0 { // otherwise γ is zero, and so is C
		l.Input, err = linalg.NewMetric(c)
		if err != nil {
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
	if sums.Attended != nil { // the mean of inputs as they are attended to is not known, and counts as zero
		m = mean(m, 1/(1-attendedPart))
	}
	return l, l.project(p, stack, m)
}

// headDistances returns p_h, the distances at which an error of each head's scores
// matters, [H]. Attention itself is no substitute, because it is dominated by the first
// token, where an error costs nothing (design §2).
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

// inputMoments returns C before λI is added to it.
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

// normalised returns v divided by its total.
func normalised(v []float64) []float64 { return mean(v, total(v)) }

// total returns the sum of the elements of v.
func total(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum
}

// mean returns sums divided by n.
func mean(sums []float64, n float64) []float64 {
	v := make([]float64, len(sums))
	for i, s := range sums {
		v[i] = s / n
	}
	return v
}
