package verify

import "math/bits"

// Positions compares the tokens at some positions of their windows.
type Positions struct {
	From   int     `json:"from"`
	To     int     `json:"to"` // the last
	Tokens int     `json:"tokens"`
	KL     float64 `json:"kl"` // KL(source‖converted), nats per token
}

// firstPositions is how many positions are told of together at the beginning of a
// window; from there on, as many as came before.
const firstPositions = 256

// byPosition sums up divergences by position: first those of the first positions, then
// those of the next as many, and so on, doubling.
type byPosition []Positions

// add adds the divergence of one token.
func (b *byPosition) add(position int, kl float64) {
	i := bits.Len(uint(position / firstPositions))
	for n := len(*b); n <= i; n++ {
		from := firstPositions << n >> 1
		if n == 0 {
			from = 0
		}
		*b = append(*b, Positions{From: from, To: firstPositions<<n - 1})
	}
	(*b)[i].KL += kl
	(*b)[i].Tokens++
}

// means returns the means of what was added.
func (b byPosition) means() []Positions {
	all := make([]Positions, len(b))
	for i, p := range b {
		p.KL /= float64(p.Tokens)
		all[i] = p
	}
	return all
}
