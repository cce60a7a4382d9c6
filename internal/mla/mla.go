// Package mla turns one attention layer into multi-head latent attention: a
// rotary key shared by all heads, and a latent from which content keys and
// values are projected up.
//
// The mathematics knows no engine; what a layout adds to it for the engines that
// load it stands in a file of its own (deepseek.go).
package mla

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/lowrank"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Weights names the measure of loss that the factorisation minimises.
type Weights string

// The measures of design §5.
const (
	WeightsNone      Weights = "none"      // matrix entries: the paper's plain joint SVD
	WeightsNorm      Weights = "norm"      // keys and values, inputs as RMSNorm leaves them
	WeightsAttention Weights = "attention" // attention output
)

// AllWeights lists the measures.
func AllWeights() []Weights { return []Weights{WeightsNone, WeightsNorm, WeightsAttention} }

// Options are the choices that the mathematics of a layer leaves open.
type Options struct {
	Rank      int           // r, kv_lora_rank
	RopeDims  int           // dr, qk_rope_head_dim
	RopeTheta float64       // θ', base of the rotary key's frequencies
	Select    rope.Strategy // which pairs may keep their rotation
	Threshold float64       // if positive: those of at least this share of the sensitivity
	Weights   Weights
}

// Attention is an attention layer with what is known of it.
type Attention struct {
	calib.Projections
	Stack       *mat.Dense   // [2·G·D × d], keys over values
	Stats       *calib.Layer // what goes through the layer
	Frequencies []float64    // ω_i, [J]
	moments     *rope.Moments
}

// Read reads layer n of a model and derives its data-free statistics.
func Read(m *family.Model, n int) (*Attention, error) {
	return Analyse(m.Attention(n), m.RopeTheta, m.MaxPositions)
}

// Analyse derives the data-free statistics of a layer with rotary base theta in
// a model of maxPositions positions.
func Analyse(p calib.Projections, theta float64, maxPositions int) (*Attention, error) {
	stack, err := p.KeyValue()
	if err != nil {
		return nil, err
	}
	stats, err := calib.DataFree(p, stack, maxPositions)
	if err != nil {
		return nil, err
	}
	return &Attention{p, stack, stats, rope.Frequencies(theta, p.Shape().HeadDim), stats.Moments()}, nil
}

// Sensitivity returns S(h,i) of design §4, [H][J].
func (a *Attention) Sensitivity() [][]float64 { return rope.Sensitivity(a.moments, a.Frequencies) }

// SharedKey builds the rotary key for the given options.
func (a *Attention) SharedKey(o Options) (*rope.SharedKey, error) {
	candidates := o.Select.Candidates(a.moments, o.RopeDims/2)
	if o.Threshold > 0 {
		candidates = rope.Above(rope.Shares(a.Sensitivity()), o.Threshold)
	}
	return rope.Share(a.moments, a.Frequencies, candidates, o.RopeDims, o.RopeTheta)
}

// RotationLoss is the predicted share of the layer's rotation that key does not
// carry, its heads weighted by the energy of their output.
func (a *Attention) RotationLoss(key *rope.SharedKey) float64 {
	loss, energy := 0.0, 0.0
	for h, lost := range key.Lost {
		loss += lost * a.Stats.OutputEnergy(h)
		energy += a.Stats.OutputEnergy(h)
	}
	return ratio(loss, energy)
}

// RankLoss is the predicted loss of attention output at rank r, relative to the
// output's energy. Spectrum must be that of WeightsAttention.
func (a *Attention) RankLoss(spectrum []float64, r int) float64 {
	energy := 0.0
	for h := range a.Stats.Heads {
		energy += a.Stats.OutputEnergy(h)
	}
	return ratio(lowrank.Loss(spectrum, r), energy)
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// Spectrum returns what each rank of the stack adds under the measure w, once
// key has taken the rotation out of it.
func (a *Attention) Spectrum(key *rope.SharedKey, w Weights) ([]float64, error) {
	stack := mat.DenseCopyOf(a.Stack)
	a.takeRotation(stack, key)
	return lowrank.Spectrum(a.problem(stack, w))
}

// takeRotation subtracts from the keys of stack what key carries, so that only
// content is left, and returns the rotary rows, [dr × d].
func (a *Attention) takeRotation(stack *mat.Dense, key *rope.SharedKey) *mat.Dense {
	rows, d := a.Stats.KVHeads*a.Stats.HeadDim, a.Stats.Hidden
	keys := stack.Slice(0, rows, 0, d).(*mat.Dense)
	var rotary mat.Dense
	rotary.Mul(key.Collect, keys)
	blas64.Gemm(blas.NoTrans, blas.NoTrans, -1, key.Expand.RawMatrix(), rotary.RawMatrix(), 1, keys.RawMatrix())
	return &rotary
}

// problem states the factorisation of stack under the measure w.
func (a *Attention) problem(stack *mat.Dense, w Weights) lowrank.Problem {
	p := lowrank.Problem{Stack: stack}
	if w != WeightsNone {
		p.Right = a.Stats.Input
	}
	if w == WeightsAttention {
		p.Left = a.Stats.Weights()
	}
	return p
}

// Layer is an attention layer with latent attention. For an attention input x
// the latent is Down·x and the rotary key Rotary·x; the content keys of all KV
// heads, then their values, are Up·latent. The content query of a head is its
// original query q; its rotary query is the transpose of its KV head's rows of
// Key.Expand, times q. Scores keep the scale 1/√D.
type Layer struct {
	Down   *mat.Dense // [r × d]; the latent has mean square 1 per channel
	Up     *mat.Dense // [2·G·D × r]
	Rotary *mat.Dense // [dr × d], interleaved
	Key    *rope.SharedKey

	Energy    float64 // share of the stack's energy, in its measure, that the rank keeps
	MeanInput float64 // mean square of x per channel
}

// Convert converts the layer. It uses up a.Stack.
func (a *Attention) Convert(o Options) (*Layer, error) {
	key, err := a.SharedKey(o)
	if err != nil {
		return nil, err
	}
	l := &Layer{Key: key, Rotary: a.takeRotation(a.Stack, key)}
	factors, err := lowrank.Factor(a.problem(a.Stack, o.Weights), o.Rank)
	a.Stack = nil
	if err != nil {
		return nil, err
	}
	l.Down, l.Up = factors.Down, factors.Up
	l.Energy = 1 - ratio(lowrank.Loss(factors.Spectrum, o.Rank), lowrank.Loss(factors.Spectrum, 0))
	for _, c := range a.Stats.Input {
		l.MeanInput += c * c / float64(len(a.Stats.Input))
	}
	l.normalise(a.Stats.Input)
	return l, nil
}

// normalise scales the latent, whose basis is free, to mean square 1 per channel
// for inputs of root mean square rms.
func (l *Layer) normalise(rms []float64) {
	r, _ := l.Down.Dims()
	for k := range r {
		row := l.Down.RawRowView(k)
		square := 0.0
		for j, v := range row {
			square += v * v * rms[j] * rms[j]
		}
		if square == 0 {
			continue // beyond the rank of the stack
		}
		scale := math.Sqrt(square)
		for j := range row {
			row[j] /= scale
		}
		column := l.Up.ColView(k).(*mat.VecDense)
		column.ScaleVec(scale, column)
	}
}
