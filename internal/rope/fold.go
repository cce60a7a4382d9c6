package rope

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/linalg"
)

// Fold builds the shared rotary key of ropeDims dimensions as TransMLA does (Meng
// et al. 2025, RoRoPE and FreqFold). Blocks of fold adjacent pairs of frequency
// take each other's frequencies; within a block, and over all KV heads, the real
// orthogonal rotation that diagonalises the keys' covariance commutes with RoPE, and
// its leading components keep their rotation. Nothing weighs what a pair is worth.
//
// Of the pairs ω_i = theta^(−2i/D) every D/ropeDims-th turns as a slot does, which
// is why ropeDims must divide D, D/ropeDims must divide fold, and fold D/2; anything
// else is an error. A fold of 0 is the smallest, D/ropeDims. It is an error, too, if
// an eigenvalue problem cannot be solved, as where moments are not finite.
func Fold(m *Moments, theta float64, ropeDims, fold int) (*SharedKey, error) {
	J := m.pairs()
	step := 2 * J / ropeDims
	if fold == 0 {
		fold = step
	}
	if ropeDims*step != 2*J || fold%step != 0 || J%fold != 0 {
		return nil, fmt.Errorf("internal: %d pairs in blocks of %d for %d rotary dimensions", J, fold, ropeDims)
	}
	b := newBuilder(m, Frequencies(theta, 2*J), Frequencies(theta, ropeDims))
	for from := 0; from < J; from += fold {
		group := &slotGroup{}
		for i := from; i < from+fold; i++ {
			group.pairs = append(group.pairs, i)
			if i%step == 0 {
				group.slots = append(group.slots, i/step)
			}
		}
		if err := b.rotate(group); err != nil {
			return nil, fmt.Errorf("rotary key: %w", err)
		}
	}
	return b.done(), nil
}

// rotate fills the slots of one group with the leading eigenvectors of the real
// part of its covariance, the largest in the fastest slot.
func (b *builder) rotate(group *slotGroup) error {
	members := b.membersOf(group)
	n := len(members)
	covariance, weight := mat.NewSymDense(n, nil), make([]float64, n)
	for x, p := range members {
		weight[x] = 1
		for y, q := range members[:x+1] {
			covariance.SetSym(x, y, real(b.keyCovariance(p.head, p.pair, q.head, q.pair)))
		}
	}
	e, err := linalg.TopSym(covariance, min(len(group.slots), n))
	if err != nil {
		return err
	}
	vectors := make([][]complex128, min(len(group.slots), n))
	for k := range vectors {
		vectors[k] = make([]complex128, n)
		sign := math.Copysign(1, e.Vectors.At(0, k)) // makes the first element positive, so that the sign is always the same
		for x := range members {
			vectors[k][x] = complex(sign*e.Vectors.At(x, k), 0)
		}
	}
	b.Fallback = b.Fallback || e.Fallback
	b.fill(group, members, weight, e.Values, vectors)
	return nil
}
