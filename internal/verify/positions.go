package verify

import "math/bits"

// Positions compares the tokens at some positions of their windows.
type Positions struct {
	From   int     `json:"from"`
	To     int     `json:"to"` // the last one
	Tokens int     `json:"tokens"`
	KL     float64 `json:"kl"` // KL(source‖converted), nats per token
}

// firstPositions is how many positions at the beginning of a window are reported together.
// Each part after that has as many positions as all before it.
const firstPositions = 256

// byPosition adds up divergences by position, in parts that firstPositions describes.
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

// means returns the mean divergence of each part.
func (b byPosition) means() []Positions {
	all := make([]Positions, len(b))
	for i, p := range b {
		p.KL /= float64(p.Tokens)
		all[i] = p
	}
	return all
}
