package mla

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/linalg"
	"github.com/mha2mla/mha2mla/internal/lowrank"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Weights names the measure of loss that the factorisation minimises.
type Weights string

// The measures of design §5.
const (
	WeightsNone      Weights = "none"      // error of matrix entries: the plain joint SVD of MHA2MLA
	WeightsNorm      Weights = "norm"      // error of keys and values, for inputs of second moments C
	WeightsBalanced  Weights = "balanced"  // the same, with keys scaled to the norm of the values: TransMLA's
	WeightsAttention Weights = "attention" // error of the attention output, estimated without data

	// WeightsCalibrated is WeightsAttention from statistics of the activations.
	WeightsCalibrated Weights = "calibrated"
)

// AllWeights lists the measures to choose from. WeightsBalanced is not among them, because
// it comes with its method.
func AllWeights() []Weights {
	return []Weights{WeightsNone, WeightsNorm, WeightsAttention, WeightsCalibrated}
}

// Options are the choices that the mathematics of a layer leaves open.
type Options struct {
	PerHead     bool // each KV head has a rotary key, else all heads share one
	Method      Method
	Shrinkage   float64       // η that the statistics should have, see Input
	Rank        int           // r, kv_lora_rank
	RopeDims    int           // dr, qk_rope_head_dim; with PerHead that of one KV head
	RopeTheta   float64       // θ', base of the rotary key's frequencies
	RopeScaling *rope.Scaling // of these frequencies, nil if they are not scaled
	Select      rope.Strategy // which pairs may keep their rotation

	// Rankings, [L], decides instead of Select if it is not nil.
	Rankings  []rope.Ranking
	Threshold float64 // if positive, pairs with at least this share of the sensitivity compete, and no others
	FreqFold  int     // for MethodTransMLA: how many adjacent pairs fold together; 0 for as few as possible
	Weights   Weights
	Split     bool // with PerHead: keys and values are factored apart, each at half the rank
	QueryRank int  // q_lora_rank, 0 if the query is not compressed
	QueryNorm bool // queries pass the norm that the source's pass, which is one of all heads together

	// KeyWeight is κ, by which the loss from errors of keys is multiplied beyond its first
	// order (design §5). Zero means the best one on a sample, or 1 where there is none.
	KeyWeight float64
	Bias      Bias // empty for BiasFold

	Heal      heal.Steps // how a layer is healed after its conversion
	HealOrder heal.Order // and on which stream
	Distill   int        // steps in which all layers are trained together after that; 0: none
}

// Trains reports whether layers change after their conversion, output projections included.
func (o *Options) Trains() bool { return o.Heal != heal.None || o.Distill > 0 }

// ranking returns the ranking of layer n, or nil if Select decides.
func (o *Options) ranking(n int) rope.Ranking {
	if o.Rankings == nil {
		return nil
	}
	return o.Rankings[n]
}

// SharedKey builds the rotary key that all heads share, for the given options (design §4).
// Errors are those of rope.Share and rope.Fold.
func (a *Attention) SharedKey(o Options) (*rope.SharedKey, error) {
	if o.Method == MethodTransMLA {
		return rope.Fold(a.moments, o.RopeTheta, o.RopeDims, o.FreqFold)
	}
	candidates := o.Select.Candidates(a.moments, o.RopeDims/2)
	if ranking := o.ranking(a.layer); ranking != nil {
		candidates = ranking.Candidates(o.RopeDims / 2)
	}
	if o.Threshold > 0 {
		candidates = rope.Above(rope.Shares(a.Sensitivity()), o.Threshold)
	}
	return rope.Share(a.moments, a.Frequencies, candidates, rope.Slots{Dims: o.RopeDims, Theta: o.RopeTheta, Scaling: o.RopeScaling})
}

// nothingLeft is the part of the norm of a row of the keys below which the remainder that
// the rotary key leaves is rounding.
const nothingLeft = 1e-13

// takeRotation subtracts the part that key carries from the keys of stack, in place, so that
// only content is left. It returns the rotary rows, [dr × d].
func (a *Attention) takeRotation(stack *mat.Dense, key *rope.SharedKey) *mat.Dense {
	rows, d := a.Stats.KVHeads*a.Stats.HeadDim, a.Stats.Hidden
	keys := stack.Slice(0, rows, 0, d).(*mat.Dense)
	var rotary mat.Dense
	rotary.Mul(key.Collect, keys)
	before := make([]float64, rows)
	for i := range before {
		before[i] = mat.Norm(keys.RowView(i), 2)
	}
	blas64.Gemm(blas.NoTrans, blas.NoTrans, -1, key.Expand.RawMatrix(), rotary.RawMatrix(), 1, keys.RawMatrix())
	for i, length := range before {
		if mat.Norm(keys.RowView(i), 2) <= nothingLeft*length {
			clear(keys.RawRowView(i))
		}
	}
	return &rotary
}

// problem states the factorisation of stack under the measure w, in which the loss from
// errors of keys is multiplied by keyWeight (design §5).
func (a *Attention) problem(stack *mat.Dense, w Weights, keyWeight float64) lowrank.Problem {
	p := lowrank.Problem{Stack: stack}
	if w != WeightsNone {
		p.Right = a.Stats.Input
	}
	switch w {
	case WeightsAttention, WeightsCalibrated:
		p.Left = a.Stats.Weights(a.rest, keyWeight)
	case WeightsBalanced:
		p.Left = balance(stack, p.Right, a.Stats.KVHeads)
	}
	return p
}

// Layer is an attention layer with latent attention and one rotary key for all heads. For an
// attention input x the latent is Down·x and the rotary key Rotary·x. There are K' content
// keys UpK·latent and values UpV·latent, for as many groups of query heads: in closed form
// K' is G, the number of KV heads, and in a healed layer H. Queries come from Heads. Scores
// keep the scale 1/√D.
type Layer struct {
	Source *Attention // the layer that was converted; its stack is used up

	Heads    Heads
	Down     *mat.Dense // [r × d]; the latent has mean square 1 over its channels
	UpK, UpV *mat.Dense // [K'·D × r]
	Norm     []float64  // [r]: the weight that healing has given to a norm on the latent, else nil
	Rotary   *mat.Dense // [dr × d], interleaved
	Key      *rope.SharedKey

	// QueryDown, if not nil, compresses the query to QueryDown·x, [q × d], with a mean
	// square of 1; queries are then projected up from that.
	QueryDown *mat.Dense

	// QueryNorm, [q], has the weights of a norm with ε = QueryEps that the compressed query
	// passes, of which each head projects up its own part; nil if there is no norm.
	QueryNorm []float64
	QueryEps  float64

	// Constants are the biases that stay, nil if none do.
	Constants *Constants

	// BiasError is the root mean square error of the functional that takes the place of
	// the constant 1 of biases. NormError is the relative root mean square error of queries
	// and keys that linear ones in the place of their norms make, of keys alone with QueryNorm.
	// Both are 0 where nothing is folded.
	BiasError, NormError float64

	KeyWeight float64 // κ as it was used, see Options
	Energy    float64 // share of the stack's energy, in its measure, that the rank keeps
	MeanInput float64 // mean square of x per channel

	// MostLatent and MostInput bound the mean squares of the latent and of x (design §6):
	// by the statistics, or by RMSNorm alone if that is more, because a few tokens say
	// little about others.
	MostLatent, MostInput float64

	Fallback bool // an eigenvalue problem took the slow way, see linalg.Eigen
}

// Up returns the projections from the latent to the content keys and to the values of
// query head h, [D × r].
func (l *Layer) Up(h int) (keys, values *mat.Dense) {
	s := l.Source.Shape()
	k := h * (l.UpK.RawMatrix().Rows / s.HeadDim) / s.Heads
	return block(l.UpK, k, s.HeadDim), block(l.UpV, k, s.HeadDim)
}

// Convert converts the layer to one with a shared rotary key (design §4 and §5). It uses up
// a.Stack. Errors are those of reading the weights, and a linalg.NumericError if they cannot
// be computed with.
func (a *Attention) Convert(o Options) (*Layer, error) {
	if o.KeyWeight == 0 {
		var err error
		o.KeyWeight, err = a.bestKeyWeight(o)
		if err != nil {
			return nil, err
		}
	}
	key, err := a.SharedKey(o)
	if err != nil {
		return nil, err
	}
	l := &Layer{Source: a, Key: key, KeyWeight: o.KeyWeight, Rotary: a.takeRotation(a.Stack, key), NormError: a.normError.All}
	a.placeBiases(l, o.Bias)
	factors, err := lowrank.Factor(a.problem(a.Stack, o.Weights, o.KeyWeight), o.Rank)
	a.Stack = nil
	if err != nil {
		return nil, err
	}
	rows, r := factors.Up.Dims()
	l.Down = factors.Down
	l.UpK, l.UpV = factors.Up.Slice(0, rows/2, 0, r).(*mat.Dense), factors.Up.Slice(rows/2, rows, 0, r).(*mat.Dense)
	l.Fallback = key.Fallback || factors.Fallback
	l.Energy = 1 - ratio(lowrank.Loss(factors.Spectrum, o.Rank), lowrank.Loss(factors.Spectrum, 0))
	l.MeanInput = a.Stats.Input.Trace() / float64(a.Stats.Hidden)
	normalise(l.Down, a.Stats.Input, factors.Up)
	if err := l.bound(); err != nil {
		return nil, err
	}
	heads := &sharedForm{source: a.Projections, key: key, rest: a.rest}
	l.Heads = heads
	if o.QueryNorm {
		heads.normed = true
		return l, a.normQuery(l)
	}
	if o.QueryRank > 0 {
		heads.compressed, err = a.compressQuery(o)
		if err != nil {
			return nil, err
		}
		l.QueryDown = heads.compressed.Down
		l.Fallback = l.Fallback || heads.compressed.Fallback
	}
	return l, nil
}

// bound computes MostLatent and MostInput. It is an error if the source cannot be read.
func (l *Layer) bound() error {
	gamma, err := l.Source.Norm()
	if err != nil {
		return err
	}
	normed := linalg.DiagonalMetric(gamma) // what RMSNorm alone says of x
	latent := mat.DenseCopyOf(l.Down)
	normed.Apply(latent)
	norm, r := mat.Norm(latent, 2), float64(latent.RawMatrix().Rows)
	l.MostLatent = max(1, norm*norm/r)
	l.MostInput = max(l.MeanInput, normed.Trace()/float64(len(gamma)))
	return nil
}

// normalise scales the channels of the latent down·x, [r], whose basis is free, to a mean
// square of 1 over all channels, for inputs x of the given second moments. It scales the
// columns of ups, which project the latent up, to match.
//
// The channels of a factorisation have standard deviations in proportion to the cost of an
// error of each. With the square roots of these, a latent that is quantised with one step
// for all channels loses least (design §5; the slots of rope are scaled by the same
// reasoning). Against channels of equal mean square, the divergence is 10 % less with four
// bits and the same with eight.
func normalise(down *mat.Dense, input linalg.Metric, ups ...*mat.Dense) {
	weighted := mat.DenseCopyOf(down)
	input.Apply(weighted)
	deviation, mean := make([]float64, down.RawMatrix().Rows), 0.0
	for k := range deviation {
		deviation[k] = mat.Norm(weighted.RowView(k), 2)
		mean += deviation[k] / float64(len(deviation))
	}
	for k, v := range deviation {
		if v == 0 {
			continue // the channel is beyond the rank of the stack
		}
		scale := math.Sqrt(v * mean) // makes the channel's mean square v/mean
		row := down.RowView(k).(*mat.VecDense)
		row.ScaleVec(1/scale, row)
		for _, up := range ups {
			column := up.ColView(k).(*mat.VecDense)
			column.ScaleVec(scale, column)
		}
	}
}
