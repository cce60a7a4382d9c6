package rope

import "math"

// member is a pair of a KV head.
type member struct{ head, pair int }

// ledger books which part of a layer's key energy some slot carries and what the
// slot's frequency costs it, to predict what is lost (design §4).
type ledger struct {
	*Moments
	pair   []float64   // ω_i
	still  [][]float64 // [H][J]: 1 − |ρ|², what it costs a pair not to rotate
	served []float64   // by member: key energy that some slot carries
	wrong  []float64   // by member: the part of it that is lost to the slot's frequency
}

// newLedger begins a ledger for pairs of the given frequencies in which nothing is
// carried yet.
func newLedger(m *Moments, pair []float64) *ledger {
	members := m.KVHeads * m.pairs()
	return &ledger{Moments: m, pair: pair, still: m.lost(pair), served: make([]float64, members), wrong: make([]float64, members)}
}

// id numbers the pairs of all KV heads.
func (l *ledger) id(at member) int { return at.head*l.pairs() + at.pair }

// carry books key energy of a member that a slot of frequency nu carries, and what
// that frequency costs it: the part of its rotation that is gone at near distances,
// relative to what a pair that stands still loses there.
func (l *ledger) carry(at member, nu, energy float64) {
	l.served[l.id(at)] += energy
	omega := l.pair[at.pair]
	if all := l.Near.Mismatch(omega, 0); all > 0 {
		share := min(1, l.Near.Mismatch(omega, nu)/all)
		l.wrong[l.id(at)] += energy * share
	}
}

// settle closes the books of a group with the given eigenvalues, of which the first
// used ones are carried. Real keys may be more concentrated than Keys says; as far as
// they are, energy of the members that is booked as unserved counts as served.
func (l *ledger) settle(members []member, values []float64, used int) {
	gain := l.gain(values, used)
	for _, at := range members {
		before := l.served[l.id(at)]
		if before == 0 {
			continue
		}
		energy := l.keyEnergy(at.head, at.pair)
		after := energy - gain*max(0, energy-before)
		l.served[l.id(at)] = after
		l.wrong[l.id(at)] *= after / before
	}
}

// gain returns the factor, 1 at most, by which a group is predicted to leave less
// energy unserved than its eigenvalues say if the first used ones have a slot. It is
// the share left of the eigenvalues raised to the power Concentration, over the share
// left of them as they are.
func (l *ledger) gain(values []float64, used int) float64 {
	plain := rest(values, used, 1)
	if plain == 0 {
		return 1
	}
	return rest(values, used, l.Concentration) / plain
}

// rest raises all values to a power and returns which share of their sum those from
// the index from on have.
func rest(values []float64, from int, power float64) float64 {
	sum, tail := 0.0, 0.0
	for k, v := range values {
		p := math.Pow(max(0, v/values[0]), power)
		sum += p
		if k >= from {
			tail += p
		}
	}
	if sum == 0 || math.IsNaN(sum) { // a group of dead keys
		return 0
	}
	return tail / sum
}

// lost returns, per query head, the predicted share of its rotation that is
// lost, and the variance of the scores' error that this makes, before they are
// divided by √D. An error Re(q̄·δz) has half of E|q|²·E|δz|² for phases that are
// not related.
func (l *ledger) lost() (shares, variances []float64) {
	shares, variances = make([]float64, len(l.Query)), make([]float64, len(l.Query))
	for h := range l.Query {
		g, lost, all := h/l.group(), 0.0, 0.0
		for i, q := range l.Query[h] {
			id, energy := l.id(member{g, i}), l.keyEnergy(g, i)
			lost += q * l.still[h][i] * (max(0, energy-l.served[id]) + l.wrong[id])
			all += q * l.still[h][i] * energy
		}
		variances[h] = lost / 2
		if all > 0 {
			shares[h] = lost / all
		}
	}
	return shares, variances
}
