package calib

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/linalg"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Projections gives the weights of one attention layer, reading them when they are
// asked for. Every call returns new matrices, which the caller may overwrite.
type Projections interface {
	Shape() family.Shape
	Norm() ([]float64, error)                    // γ, [d]
	Query(h int) (*mat.Dense, error)             // [D × d]
	KeyValue() (*mat.Dense, error)               // [2·G·D × d], keys over values
	OutputRows(from, to int) (*mat.Dense, error) // rows of W_o, [to−from × H·D]
	Biases() (*family.Biases, error)             // nil if there are none

	HeadNorms() (*family.HeadNorms, error) // nil if there are none
}

// Layer holds the statistics of one attention layer.
type Layer struct {
	family.Shape
	Input         linalg.Metric    // C, [d × d]
	Queries       []*mat.SymDense  // [H] of [D × D]: E[q_h q_hᵀ]
	Keys          *mat.SymDense    // [G·D × G·D]: E[k kᵀ]
	Values        []*mat.SymDense  // [G] of [D × D]: E[v_g v_gᵀ]
	Outputs       []*mat.SymDense  // [H] of [D × D]: W_o^hᵀ W_o^h
	Distances     rope.Distances   // attended to
	HeadDistances []rope.Distances // [H]: p_h, at which an error of a head's scores matters
	Near          rope.Distances   // at which exact frequencies matter

	concentration  float64   // see rope.Moments
	scores, values []float64 // [H]: σ_h and τ_h from data, nil without data

	queryNorms, keyNorms []float64 // see rope.Moments

	centred  *mat.SymDense // Keys without their biases
	constant Constant
}

// Reader reads statistics that were gathered.
type Reader interface {
	// Sums returns the sums of a layer.
	Sums(layer int) (*Sums, error)
	// Unchanged is an error if the statistics were changed since they were opened.
	Unchanged() error
}

// Calibrated reports whether the statistics are from data.
func (l *Layer) Calibrated() bool { return l.scores != nil }

// rowsAtOnce is how many rows of W_o are read at a time, to bound memory.
const rowsAtOnce = 256

// DataFree returns the statistics of a layer of a model of maxPositions positions when
// there are no data: C = diag(γ²) (design §2). Stack is the layer's KeyValue,
// [2·G·D × d]. Errors are those of reading the weights.
func DataFree(p Projections, stack *mat.Dense, maxPositions int) (*Layer, error) {
	gamma, err := p.Norm()
	if err != nil {
		return nil, err
	}
	for j, v := range gamma {
		gamma[j] = math.Abs(v)
	}
	l := &Layer{Shape: p.Shape(), Input: linalg.DiagonalMetric(gamma), Distances: rope.DataFree(maxPositions), Near: rope.DataFreeNear(maxPositions), concentration: rope.DataFreeConcentration, constant: none}
	l.HeadDistances = slices.Repeat([]rope.Distances{l.Distances}, l.Heads)
	return l, l.project(p, stack, nil)
}

// project computes the moments of queries, keys and values from l.Input, and those of
// the output projection. Mean is the part of E[x] that belongs to l.Input, [d], or nil
// if it is zero.
func (l *Layer) project(p Projections, stack *mat.Dense, mean []float64) error {
	D, G, d := l.HeadDim, l.KVHeads, l.Hidden
	for h := range l.Heads {
		q, err := p.Query(h)
		if err != nil {
			return err
		}
		l.Queries = append(l.Queries, l.Input.Gram(q))
	}
	l.Keys = l.Input.Gram(mat.DenseCopyOf(stack.Slice(0, G*D, 0, d)))
	for g := range G {
		l.Values = append(l.Values, l.Input.Gram(mat.DenseCopyOf(stack.Slice((G+g)*D, (G+g+1)*D, 0, d))))
	}
	if err := l.withBiases(p, stack, mean); err != nil {
		return err
	}
	var err error
	l.Outputs, err = outputs(p)
	return err
}

// outputs returns W_o^hᵀ W_o^h for every head.
func outputs(p Projections) ([]*mat.SymDense, error) {
	s := p.Shape()
	sums := make([]*mat.SymDense, s.Heads)
	for h := range sums {
		sums[h] = mat.NewSymDense(s.HeadDim, nil)
	}
	part := mat.NewSymDense(s.HeadDim, nil)
	for from := 0; from < s.Hidden; from += rowsAtOnce {
		to := min(from+rowsAtOnce, s.Hidden)
		rows, err := p.OutputRows(from, to)
		if err != nil {
			return nil, err
		}
		for h, sum := range sums {
			columns := rows.Slice(0, to-from, h*s.HeadDim, (h+1)*s.HeadDim)
			part.SymOuterK(1, columns.T())
			sum.AddSym(sum, part)
		}
	}
	return sums, nil
}

// Moments returns the second moments that the choice of rotary pairs needs.
func (l *Layer) Moments() *rope.Moments {
	J := l.HeadDim / 2
	m := &rope.Moments{
		Query: make([][]float64, l.Heads), Keys: l.Keys, KVHeads: l.KVHeads,
		QueryNorms: l.queryNorms, KeyNorms: l.keyNorms,
		Distances: l.Distances, Near: l.Near, Concentration: l.concentration,
		Heads: l.HeadDistances, Scores: l.scores,
	}
	for h, q := range l.Queries {
		m.Query[h] = make([]float64, J)
		for i := range J {
			m.Query[h][i] = q.At(i, i) + q.At(i+J, i+J)
		}
	}
	return m
}

// ValueWeight returns τ_h = E Σ_t a_t², the share of a value error's variance that the
// attention of head h lets through, or 1 without data (design §2).
func (l *Layer) ValueWeight(h int) float64 {
	if l.values == nil {
		return 1
	}
	return l.values[h]
}

// OutputEnergy returns E‖W_o^h v‖², the mean square of what head h would add to
// the residual stream if it attended to one token.
func (l *Layer) OutputEnergy(h int) float64 {
	return product(l.Outputs[h], l.Values[l.KVHead(h)])
}

// Energy returns the mean square of the attention output, with heads and tokens taken
// for unrelated. Losses of output are given relative to it.
func (l *Layer) Energy() float64 {
	sum := 0.0
	for h := range l.Heads {
		sum += l.ValueWeight(h) * l.OutputEnergy(h)
	}
	return sum
}

// scoreVariance returns E[(q_h·k)²]/D for unrelated queries and keys.
func (l *Layer) scoreVariance(h int) float64 {
	D, g := l.HeadDim, l.KVHead(h)
	return product(l.Queries[h], l.centred.SliceSym(g*D, (g+1)*D)) / float64(D) // centred, because the softmax cancels a bias of keys
}

// product returns tr(a·b).
func product(a, b mat.Symmetric) float64 {
	n, sum := a.SymmetricDim(), 0.0
	for i := range n {
		for j := range n {
			sum += a.At(i, j) * b.At(i, j)
		}
	}
	return sum
}

// saturation is the 3 of ScoreWeights: how soon attention stops following its scores.
const saturation = 3

// ScoreWeights returns σ_h, [H]: how much output is lost per unit of score error
// variance (design §2). From data it is E Σ_t a_t² ‖W_o(v_t − o)‖².
//
// Without data it follows from what a small error ε of one score does: it moves the
// output by ε·a_t·W_o(v_t − o). That makes E‖W_o v‖² per head, next to W_oᵀW_o for an
// error of the values; the same attention probabilities multiply both, so that no
// further balance is needed. Scores of large variance s̄² saturate the softmax, and an
// error then moves the output less. The factor 1/(1 + 3 s̄²), one for the layer,
// measured better than equal energies of keys and values on every checkpoint tried (KL
// 0.29 against 0.46 at half the cache of stories260k). Factors from 2 to 6 in the place
// of 3 are as good.
func (l *Layer) ScoreWeights() []float64 {
	if l.scores != nil {
		return l.scores
	}
	sigma := make([]float64, l.Heads)
	energy, variance := 0.0, 0.0
	for h := range sigma {
		sigma[h] = l.OutputEnergy(h)
		energy += sigma[h]
		variance += sigma[h] * l.scoreVariance(h)
	}
	if energy == 0 {
		return sigma
	}
	for h := range sigma {
		sigma[h] /= 1 + saturation*variance/energy
	}
	return sigma
}

// QueryWeights returns, per query head, how much output an error of its queries costs,
// [H] of [D × D]: (σ_h/D)·E[k kᵀ] of its KV head, as RoPE at the given frequencies, [J]
// in radians per token, turns it (design §5, a compressed query). Without the turning,
// KL is up to a quarter higher at small ranks.
func (l *Layer) QueryWeights(frequencies []float64) []*mat.SymDense {
	blocks := make([]*mat.SymDense, l.Heads)
	for h, sigma := range l.ScoreWeights() {
		turned := l.HeadDistances[h].Turning(frequencies)
		from := l.KVHead(h) * l.HeadDim
		blocks[h] = mat.NewSymDense(l.HeadDim, nil)
		blocks[h].ScaleSym(sigma/float64(l.HeadDim), turned(l.Keys.SliceSym(from, from+l.HeadDim)))
	}
	return blocks
}

// Weights returns the blocks of A² for the stack [K; V], [2·G] of [D × D] (design §5).
// That of the keys of a KV head is keyWeight·Σ_h (σ_h/D)·E[q'_h q'_hᵀ] over its query
// heads h, where q'_h is the query multiplied by the head's rest, [H]. That of its
// values is Σ_h τ_h·W_o^hᵀ W_o^h.
func (l *Layer) Weights(rest []rope.Rest, keyWeight float64) []*mat.SymDense {
	sigma := l.ScoreWeights()
	blocks := make([]*mat.SymDense, 2*l.KVHeads)
	for i := range blocks {
		blocks[i] = mat.NewSymDense(l.HeadDim, nil)
	}
	scaled := mat.NewSymDense(l.HeadDim, nil)
	for h := range l.Heads {
		keys, values := blocks[l.KVHead(h)], blocks[l.KVHeads+l.KVHead(h)]
		scaled.ScaleSym(keyWeight*sigma[h]/float64(l.HeadDim), rest[h].TurnMoments(l.Queries[h]))
		keys.AddSym(keys, scaled)
		scaled.ScaleSym(l.ValueWeight(h), l.Outputs[h])
		values.AddSym(values, scaled)
	}
	return blocks
}
