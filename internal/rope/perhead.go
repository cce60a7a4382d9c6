package rope

import (
	"cmp"
	"slices"
)

// Ranking orders the rotary pairs of every KV head, [G][J]: rank 0 is the first
// to keep its rotation. It is what the reference implementation of the MHA2MLA
// paper calls the 2-norm rank.
type Ranking [][]int

// Rank ranks the pairs of every KV head by the strategy, for a rotary key of slots
// pairs per KV head (design §4). Frequencies are those of the J pairs, in radians
// per token.
func (s Strategy) Rank(m *Moments, frequencies []float64, slots int) Ranking {
	r, lost := make(Ranking, m.KVHeads), m.lost(frequencies)
	for g := range r {
		if fixed, ok := s.FixedRank(m.pairs(), slots); ok {
			r[g] = fixed
			continue
		}
		worth := make([]float64, m.pairs())
		for i := range worth {
			worth[i] = m.norms(g, i)
			if s == BySensitivity {
				worth[i] = m.worth(g, i, lost) * m.keyEnergy(g, i)
			}
		}
		r[g] = ranks(len(worth), func(a, b int) int { return cmp.Compare(worth[b], worth[a]) })
	}
	return r
}

// FixedRank ranks J pairs, [J], for slots of them to keep their rotation, if s is a
// strategy that looks at nothing but their number. It reports whether s is one.
func (s Strategy) FixedRank(J, slots int) ([]int, bool) {
	switch s {
	case High:
		return ranks(J, func(a, b int) int { return a - b }), true
	case Low:
		return ranks(J, func(a, b int) int { return b - a }), true
	case Uniform:
		mask := s.Candidates(&Moments{Query: [][]float64{make([]float64, J)}}, slots)
		return ranks(J, func(a, b int) int {
			switch {
			case mask[a] == mask[b]:
				return a - b
			case mask[a]:
				return -1
			default:
				return 1
			}
		}), true
	default:
		return nil, false
	}
}

// ranks returns the position that each of n elements has in the order of compare.
func ranks(n int, compare func(a, b int) int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, compare)
	rank := make([]int, n)
	for at, i := range order {
		rank[i] = at
	}
	return rank
}

// Kept lists, per KV head, the pairs of the first slots ranks in ascending
// order.
func (r Ranking) Kept(slots int) [][]int {
	kept := make([][]int, len(r))
	for g, rank := range r {
		kept[g] = []int{}
		for i, at := range rank {
			if at < slots {
				kept[g] = append(kept[g], i)
			}
		}
	}
	return kept
}

// Candidates reports, for each of the J pairs, whether it is among the first
// slots by the sum of its ranks over the KV heads: for a rotary key that they
// share.
func (r Ranking) Candidates(slots int) []bool {
	J := len(r[0])
	sum := make([]int, J)
	for _, rank := range r {
		for i, at := range rank {
			sum[i] += at
		}
	}
	mask := make([]bool, J)
	for i, at := range ranks(J, func(a, b int) int { return sum[a] - sum[b] }) {
		mask[i] = at < slots
	}
	return mask
}

// HeadKeys are rotary keys that every KV head has for itself: some of its pairs
// at their own frequencies (design §4).
type HeadKeys struct {
	Ranking Ranking
	Kept    [][]int // [G]: pairs that keep their rotation, ascending
	// Lost and ScoreError are as in SharedKey.
	Lost, ScoreError []float64
}

// KeepPerHead keeps the rotation of the first slots pairs of every KV head in the
// order of r, and predicts what is lost by that. Frequencies are those of the J
// pairs, in radians per token.
func KeepPerHead(m *Moments, frequencies []float64, r Ranking, slots int) *HeadKeys {
	k := &HeadKeys{Ranking: r, Kept: r.Kept(slots)}
	l := newLedger(m, frequencies)
	for g, kept := range k.Kept {
		for _, i := range kept {
			l.carry(member{g, i}, frequencies[i], m.keyEnergy(g, i))
		}
	}
	k.Lost, k.ScoreError = l.lost()
	return k
}
