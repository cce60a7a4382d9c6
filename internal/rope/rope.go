package rope

import (
	"math"
	"math/cmplx"

	"gonum.org/v1/gonum/mat"
)

// Frequencies returns ω_i = theta^(−2i/dim) for the dim/2 rotary pairs of dim
// rotary dimensions, in radians per token.
func Frequencies(theta float64, dim int) []float64 {
	freq := make([]float64, dim/2)
	for i := range freq {
		freq[i] = math.Pow(theta, -2*float64(i)/float64(dim))
	}
	return freq
}

// Distances is the distribution of the distance between a query and the keys
// it attends to: element Δ is the probability of distance Δ.
type Distances []float64

// maxWindow caps the distances considered without data: beyond it attention is
// too rare to matter and the sums too long.
const maxWindow = 4096

// DataFree returns the distances assumed when there are no data, falling as
// 1/(1+Δ) over a causal window of maxPositions: every octave of distances gets
// the same attention, as is typical.
func DataFree(maxPositions int) Distances { return powerLaw(maxPositions, 1) }

// DataFreeNear returns the distances, falling as 1/(1+Δ)³, at which it matters
// without data that a pair turns at exactly its frequency. A small error of the
// frequency shows far away alone, where fast pairs carry no position any more.
//
// The two laws and DataFreeConcentration were chosen on five small checkpoints
// as those that predict best which rotary base converts with the lowest
// divergence: the bases found have 1.2 times that of the best one of a grid on
// average and 2.6 at most. A uniform law makes far too much of small
// mismatches. Exponents from 2 to 3 here, and from 1.5 to 2 for the
// concentration, are as good.
func DataFreeNear(maxPositions int) Distances { return powerLaw(maxPositions, 3) }

// DataFreeConcentration is the Concentration of Moments to assume without data.
const DataFreeConcentration = 1.5

// powerLaw returns probabilities in proportion to (1+Δ)^−exponent.
func powerLaw(maxPositions int, exponent float64) Distances {
	p := make(Distances, max(1, min(maxPositions, maxWindow)))
	total := 0.0
	for d := range p {
		p[d] = math.Pow(1+float64(d), -exponent)
		total += p[d]
	}
	for d := range p {
		p[d] /= total
	}
	return p
}

// Rho returns ρ = E[e^{jωΔ}], the mean rotation of a pair of frequency omega, in
// radians per token (design §4). It is 1 if the pair does not turn over the distances
// that matter, and near 0 if it turns many times.
func (p Distances) Rho(omega float64) complex128 {
	if omega == 0 {
		return 1 // without the rounding of a sum
	}
	var sum complex128
	turn, step := complex(1, 0), cmplx.Rect(1, omega)
	for _, probability := range p {
		sum += complex(probability, 0) * turn
		turn *= step
	}
	return sum
}

// Lost returns 1 − |ρ|², the share of a pair's score variance that goes when
// the pair stops rotating and the best constant takes its place.
func (p Distances) Lost(omega float64) float64 {
	r := cmplx.Abs(p.Rho(omega))
	return max(0, 1-r*r)
}

// Mismatch returns E|e^{jaΔ} − e^{jbΔ}|², what it costs a pair of frequency a to
// turn at b.
func (p Distances) Mismatch(a, b float64) float64 {
	return max(0, 2-2*real(p.Rho(a-b)))
}

// Moments are the second moments of one attention layer that the choice of
// rotary pairs needs. H query heads, G KV heads, D = head_dim, J = D/2.
type Moments struct {
	Query   [][]float64   // [H][J]: E|q_{h,i}|²
	Keys    *mat.SymDense // [G·D × G·D]: E[k kᵀ], KV heads stacked
	KVHeads int           // G
	// QueryNorms, [H·J], and KeyNorms, [G·J], are E|q_{h,i}| and E|z_{g,i}|; nil if
	// they are not known.
	QueryNorms, KeyNorms []float64
	Distances            Distances   // attended to
	Near                 Distances   // at which exact frequencies matter
	Heads                []Distances // [H]: p_h, at which an error of a head's scores matters
	// Scores, [H], is σ_h, how much such an error costs. If nil, it costs all heads
	// the same.
	Scores []float64
	// Concentration is an exponent for the eigenvalues of key covariances in
	// predictions of what is lost: 1 if Keys is known from data, above 1 if it
	// spreads energy more evenly than data would.
	Concentration float64
}

// pairs returns J.
func (m *Moments) pairs() int { return len(m.Query[0]) }

// group returns the number of query heads that share a KV head.
func (m *Moments) group() int { return len(m.Query) / m.KVHeads }

// row returns the row of Keys that holds the real part of pair i of KV head g; the
// imaginary part is pairs() rows below.
func (m *Moments) row(g, i int) int { return g*2*m.pairs() + i }

// keyEnergy returns E|z_{g,i}|².
func (m *Moments) keyEnergy(g, i int) float64 {
	re, im := m.row(g, i), m.row(g, i)+m.pairs()
	return m.Keys.At(re, re) + m.Keys.At(im, im)
}

// queryEnergy returns Σ E|q_{h,i}|² over the query heads h of KV head g.
func (m *Moments) queryEnergy(g, i int) float64 {
	sum := 0.0
	for h := g * m.group(); h < (g+1)*m.group(); h++ {
		sum += m.Query[h][i]
	}
	return sum
}

// lost returns 1 − |ρ_{h,i}|² of pairs of the given frequencies, [H][J].
func (m *Moments) lost(frequencies []float64) [][]float64 {
	lost := make([][]float64, len(m.Query))
	for h, p := range m.Heads {
		for _, omega := range frequencies {
			lost[h] = append(lost[h], p.Lost(omega))
		}
	}
	return lost
}

// worth returns what the rotation of pair i of KV head g is worth per unit of key
// energy: Σ σ_h·E|q_{h,i}|²·(1 − |ρ_{h,i}|²) over its query heads h.
func (m *Moments) worth(g, i int, lost [][]float64) float64 {
	sum := 0.0
	for h := g * m.group(); h < (g+1)*m.group(); h++ {
		score := 1.0
		if m.Scores != nil {
			score = m.Scores[h]
		}
		sum += score * m.Query[h][i] * lost[h][i]
	}
	return sum
}

// keyCovariance returns E[z_a z̄_b] for pairs a and b given by KV head and index.
func (m *Moments) keyCovariance(ga, ia, gb, ib int) complex128 {
	J := m.pairs()
	a, b := m.row(ga, ia), m.row(gb, ib)
	k := m.Keys.At
	return complex(k(a, b)+k(a+J, b+J), k(a+J, b)-k(a, b+J))
}

// Sensitivity returns S(h,i) = E|q_{h,i}|² · E|z_{g(h),i}|² · (1 − |ρ_{h,i}|²) for H
// heads × J pairs: how much attention scores change when pair i of head h stops
// rotating (design §4). Frequencies has J elements.
func Sensitivity(m *Moments, frequencies []float64) [][]float64 {
	lost := m.lost(frequencies)
	s := make([][]float64, len(m.Query))
	for h := range s {
		s[h] = make([]float64, len(frequencies))
		for i := range s[h] {
			s[h][i] = m.Query[h][i] * m.keyEnergy(h/m.group(), i) * lost[h][i]
		}
	}
	return s
}
