package rope

import (
	"cmp"
	"math"
	"slices"
)

// Strategy says which rotary pairs may keep their rotation.
type Strategy string

// The strategies of design §4. Sensitivity lets all pairs compete for the
// rotary key by what they would lose; the others, from the MHA2MLA paper (§3.1),
// choose as many pairs as there are slots and give up the rest.
const (
	BySensitivity Strategy = "sensitivity"
	ByNorm        Strategy = "2-norm"  // largest mean ‖q_i‖ · mean ‖k_i‖, summed over the heads
	High          Strategy = "high"    // highest frequencies
	Low           Strategy = "low"     // lowest frequencies
	Uniform       Strategy = "uniform" // evenly spaced
)

// Strategies lists the strategies.
func Strategies() []Strategy { return []Strategy{BySensitivity, ByNorm, High, Low, Uniform} }

// Candidates reports for each of the J pairs whether it may keep its rotation
// in a rotary key of slots slots.
func (s Strategy) Candidates(m *Moments, slots int) []bool {
	J := m.pairs()
	mask := make([]bool, J)
	slots = min(slots, J)
	switch s {
	case ByNorm:
		order := make([]int, J)
		norm := make([]float64, J)
		for i := range J {
			order[i] = i
			for g := range m.KVHeads {
				norm[i] += m.norms(g, i)
			}
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(norm[b], norm[a]) })
		for _, i := range order[:slots] {
			mask[i] = true
		}
	case High:
		fill(mask[:slots])
	case Low:
		fill(mask[J-slots:])
	case Uniform:
		for k := range slots {
			mask[k*J/slots] = true
		}
	default:
		fill(mask)
	}
	return mask
}

// norms returns mean ‖q_i‖ · mean ‖k_i‖ of pair i, summed over the query heads of
// KV head g. Without data the roots of mean squares take the place of the means.
func (m *Moments) norms(g, i int) float64 {
	sum := 0.0
	for h := g * m.group(); h < (g+1)*m.group(); h++ {
		if m.QueryNorms != nil {
			sum += m.QueryNorms[h*m.pairs()+i] * m.KeyNorms[g*m.pairs()+i]
		} else {
			sum += math.Sqrt(m.Query[h][i] * m.keyEnergy(g, i))
		}
	}
	return sum
}

// fill sets all elements of mask.
func fill(mask []bool) {
	for i := range mask {
		mask[i] = true
	}
}

// Shares returns, for each of the J pairs, its share of the total of the
// sensitivities s, [H][J]. All are zero if the total is.
func Shares(s [][]float64) []float64 {
	share := make([]float64, len(s[0]))
	total := 0.0
	for _, head := range s {
		for i, v := range head {
			share[i] += v
			total += v
		}
	}
	if total > 0 {
		for i := range share {
			share[i] /= total
		}
	}
	return share
}

// Above reports which shares reach the threshold; the largest always does.
func Above(shares []float64, threshold float64) []bool {
	largest := slices.Max(shares)
	mask := make([]bool, len(shares))
	for i, share := range shares {
		mask[i] = share >= threshold || share == largest
	}
	return mask
}
