package rope

import (
	"fmt"
	"math"
	"math/cmplx"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/linalg"
)

// SharedKey is the rotary key that all heads of a layer share (design §4). It
// has n slots of two rotary dimensions, interleaved: rows 2m and 2m+1 are the
// real and the imaginary part of slot m.
type SharedKey struct {
	// Frequencies are those of the slots, ν_m = θ'^(−2m/dr) unless they are scaled,
	// in radians per token.
	Frequencies []float64
	// Collect is [2n × G·D]: the rotary key is Collect·k, with a mean square of
	// 1 over the slots in use, larger in those that scores depend on more.
	Collect *mat.Dense
	// Expand is [G·D × 2n]: Expand·Collect·k is the part of the keys k that
	// keeps its rotation. Its transpose, restricted to the rows of a KV head,
	// takes a query of that head to its rotary query.
	Expand *mat.Dense
	// Serves lists, per slot, the pairs whose rotation it carries.
	Serves [][]int
	// Lost is, per query head, the predicted share of its rotation that is lost to
	// pairs that stop rotating or rotate at another frequency: the variance of the
	// scores' error, relative to that of a key without any rotation.
	Lost []float64
	// ScoreError is, per query head, that variance itself, of scores before they
	// are divided by √D.
	ScoreError []float64
	// Fallback reports that an eigenvalue problem took the slow way, see linalg.Eigen.
	Fallback bool
}

const (
	// weightFloor, relative to the largest weight of a group, is added to all weights
	// of it, because a pair that loses nothing would have weight 0 and Expand divides
	// by weights.
	weightFloor = 1e-9
	// rankFloor is the eigenvalue, relative to the largest of its group, below
	// which there is nothing but rounding left to carry.
	rankFloor = 1e-12
)

// Slots says at which frequencies the slots of a rotary key turn: those of Dims
// rotary dimensions of base Theta, scaled if Scaling is not nil.
type Slots struct {
	Dims    int
	Theta   float64
	Scaling *Scaling
}

// frequencies returns those of the slots, in radians per token.
func (s Slots) frequencies() []float64 { return s.Scaling.Frequencies(s.Theta, s.Dims) }

// spacing returns the distance between slots in log frequency, before scaling.
func (s Slots) spacing() float64 { return 2 * math.Log(s.Theta) / float64(s.Dims) }

// Share builds the shared rotary key of the given slots for a layer whose J pairs have
// the given frequencies, in radians per token (design §4). Only pairs that are
// candidates, [J], keep their rotation. It is an error if an eigenvalue problem cannot
// be solved, as where moments are not finite.
//
// The slots of a group of pairs are the leading eigenvectors of the group's
// complex Hermitian covariance E[y' y'ᴴ], y' = a ∘ z over the pairs of all KV
// heads, a² = Σ_h σ_h·E|q_h|²·(1−|ρ_h|²): the combinations whose rotation is worth most.
func Share(m *Moments, frequencies []float64, candidates []bool, slots Slots) (*SharedKey, error) {
	b := newBuilder(m, frequencies, slots.frequencies())
	for _, group := range assign(m.Distances, frequencies, b.Frequencies, candidates, slots.spacing()) {
		if err := b.serve(group); err != nil {
			return nil, fmt.Errorf("rotary key: %w", err)
		}
	}
	return b.done(), nil
}

// builder is a rotary key being built.
type builder struct {
	*Moments
	*SharedKey
	pair   []float64 // ω_i
	ledger *ledger
}

// newBuilder begins a rotary key of slots at the given frequencies in which none
// carries anything yet.
func newBuilder(m *Moments, pairs, slots []float64) *builder {
	n, rows := len(slots), m.Keys.SymmetricDim()
	return &builder{
		Moments: m,
		SharedKey: &SharedKey{
			Frequencies: slots,
			Collect:     mat.NewDense(2*n, rows, nil),
			Expand:      mat.NewDense(rows, 2*n, nil),
			Serves:      slices.Repeat([][]int{{}}, n),
		},
		pair:   pairs,
		ledger: newLedger(m, pairs),
	}
}

// done scales the slots, closes the books and returns the key.
func (b *builder) done() *SharedKey {
	b.level()
	b.Lost, b.ScoreError = b.ledger.lost()
	return b.SharedKey
}

// serve fills the slots of one group with the leading eigenvectors of its
// weighted covariance.
func (b *builder) serve(group *slotGroup) error {
	members := b.membersOf(group)
	weight := b.weightsOf(members)
	e, err := linalg.TopHermitian(len(members), min(len(group.slots), len(members)), func(x, y int) complex128 {
		p, q := members[x], members[y]
		return complex(weight[x]*weight[y], 0) * b.keyCovariance(p.head, p.pair, q.head, q.pair)
	})
	if err != nil {
		return err
	}
	group.orderByFit(b.pair, b.Frequencies)
	b.Fallback = b.Fallback || e.Fallback
	b.fill(group, members, weight, e.Values, e.Vectors)
	return nil
}

// fill gives the slots of a group, in their order, the eigenvectors of its
// covariance in theirs, as far as there is anything to carry. Vectors are of y' = a
// ∘ z with weights a.
func (b *builder) fill(group *slotGroup, members []member, weight, values []float64, vectors [][]complex128) {
	used := 0
	for used < len(vectors) && values[used] > rankFloor*values[0] {
		used++ // beyond, the group has fewer dimensions than slots
	}
	for k, u := range vectors[:used] {
		slot := group.slots[k]
		b.Serves[slot] = group.pairs
		scale := math.Sqrt(values[k] / 2) // rotary keys of mean square 1
		for x, at := range members {
			collect := cmplx.Conj(u[x]) * complex(weight[x]/scale, 0)
			expand := u[x] * complex(scale/weight[x], 0)
			b.put(slot, b.row(at.head, at.pair), collect, expand)
			b.ledger.carry(at, b.Frequencies[slot], 2*real(expand*cmplx.Conj(expand)))
		}
	}
	b.ledger.settle(members, values, used)
}

// membersOf lists the pairs of a group, for all KV heads one after the other.
func (b *builder) membersOf(group *slotGroup) []member {
	var members []member
	for g := range b.KVHeads {
		for _, i := range group.pairs {
			members = append(members, member{g, i})
		}
	}
	return members
}

// weightsOf returns the weights a of the members of a group, all of them above zero.
func (b *builder) weightsOf(members []member) []float64 {
	weight := make([]float64, len(members))
	largest := 0.0
	for k, at := range members {
		weight[k] = math.Sqrt(b.worth(at.head, at.pair, b.ledger.still))
		largest = max(largest, weight[k])
	}
	if largest == 0 {
		largest = 1
	}
	for k := range weight {
		weight[k] += weightFloor * largest
	}
	return weight
}

// put writes multiplication by the complex numbers collect and expand as real
// 2×2 blocks between slot and the pair at row.
func (b *builder) put(slot, row int, collect, expand complex128) {
	re, im := row, row+b.pairs()
	b.Collect.Set(2*slot, re, real(collect))
	b.Collect.Set(2*slot, im, -imag(collect))
	b.Collect.Set(2*slot+1, re, imag(collect))
	b.Collect.Set(2*slot+1, im, real(collect))
	b.Expand.Set(re, 2*slot, real(expand))
	b.Expand.Set(re, 2*slot+1, -imag(expand))
	b.Expand.Set(im, 2*slot, imag(expand))
	b.Expand.Set(im, 2*slot+1, real(expand))
}
