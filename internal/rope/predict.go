package rope

import "math"

// member is a pair of a KV head.
type member struct{ head, pair int }

// ledger books what of a layer's rotation is carried by some slot and at what
// cost, to predict what is lost.
type ledger struct {
	*Moments
	pair   []float64   // ω_i
	still  [][]float64 // [H][J]: 1 − |ρ|², what it costs a pair not to rotate
	served []float64   // by member: key energy that some slot carries
	wrong  []float64   // by member: the part of it that is lost to the slot's frequency
}

func newLedger(m *Moments, pair []float64) *ledger {
	members := m.KVHeads * m.pairs()
	return &ledger{Moments: m, pair: pair, still: m.lost(pair), served: make([]float64, members), wrong: make([]float64, members)}
}

// id numbers the pairs of all KV heads.
func (l *ledger) id(at member) int { return at.head*l.pairs() + at.pair }

// carry books key energy of a member that a slot of frequency nu carries, and
// what that frequency costs: the share of the pair's rotation that is gone
// nearby, of what it would lose standing still.
func (l *ledger) carry(at member, nu, energy float64) {
	l.served[l.id(at)] += energy
	omega := l.pair[at.pair]
	if all := l.Near.Mismatch(omega, 0); all > 0 {
		share := min(1, l.Near.Mismatch(omega, nu)/all)
		l.wrong[l.id(at)] += energy * share
	}
}

// settle closes the books of a group of which values are the eigenvalues, used
// of them carried. Energy of its members that is booked as unserved moves to
// where it is served, as far as real keys are more concentrated than Keys says.
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

// gain is by how much less a group is predicted to leave unserved than its
// eigenvalues say, used of which have a slot: the ratio of what is left of the
// eigenvalues raised to the power Concentration to what is left of them as they
// are.
func (l *ledger) gain(values []float64, used int) float64 {
	plain := rest(values, used, 1)
	if plain == 0 {
		return 1
	}
	return rest(values, used, l.Concentration) / plain
}

// rest is the share that the values from the given one on have of the sum of
// all, each raised to a power.
func rest(values []float64, from int, power float64) float64 {
	sum, tail := 0.0, 0.0
	for k, v := range values {
		p := math.Pow(max(0, v/values[0]), power)
		if sum += p; k >= from {
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
		if variances[h] = lost / 2; all > 0 {
			shares[h] = lost / all
		}
	}
	return shares, variances
}
