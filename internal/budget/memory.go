package budget

import (
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/mla"
)

// LayerMemory estimates the bytes that converting a layer of shape s by the given
// choices takes, with statistics or not. A rank that is not known yet counts as
// nothing. On shapes from 768 to 4096 wide it is, with 48 MB for the program, within
// a third of the peak that the system counts.
func LayerMemory(s family.Shape, o mla.Options, stats bool) int64 {
	// the stack and its product with a measure; the smaller Gram matrix, and half as
	// much for what reduces it; eigenvectors in the making, and the factors
	factoring := func(rows, rank int) int64 {
		stack, side := int64(rows)*int64(s.Hidden), int64(min(rows, s.Hidden))
		return 8 * (2*stack + side*side*3/2 + 3*side*int64(rank))
	}
	most := factoring(2*s.KVHeads*s.HeadDim, o.Rank)
	if o.QueryRank > 0 { // after the stack of keys and values, which has gone by then
		most = max(most, factoring(s.Heads*s.HeadDim, o.QueryRank))
	}
	// the stack beside the covariance of all keys and its parts, and what each head's
	// queries and keys have in common
	keys, heads := int64(s.KVHeads)*int64(s.HeadDim), int64(s.Heads)*int64(s.HeadDim)
	most = max(most, 8*(2*keys*int64(s.Hidden)+5*keys*keys/2+6*heads*int64(s.HeadDim)))
	if stats { // C, two parts of it, and its factor
		most += 4 * 8 * int64(s.Hidden) * int64(s.Hidden)
	}
	return most
}
