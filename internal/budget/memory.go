package budget

import (
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/mla"
)

// LayerMemory estimates the bytes that converting a layer of shape s by the given choices
// takes, with statistics or without. A rank that is not known yet counts as 0. On shapes from
// 768 to 4096 wide the estimate, with 48 MB for the program, is within a third of the peak
// that the system counts.
func LayerMemory(s family.Shape, o mla.Options, stats bool) int64 {
	// A factorisation holds the stack and its product with a measure, the smaller Gram
	// matrix and half as much for its reduction, eigenvectors as they are computed, and the
	// factors.
	factoring := func(rows, rank int) int64 {
		stack, side := int64(rows)*int64(s.Hidden), int64(min(rows, s.Hidden))
		return 8 * (2*stack + side*side*3/2 + 3*side*int64(rank))
	}
	most := factoring(2*s.KVHeads*s.HeadDim, o.Rank)
	if o.QueryRank > 0 { // queries are factored when the stack of keys and values is gone
		most = max(most, factoring(s.Heads*s.HeadDim, o.QueryRank))
	}
	if o.QueryNorm { // queries are held as they are
		most += 8 * int64(s.Heads*s.HeadDim) * int64(s.Hidden)
	}
	// Before that there are the stack, the covariance of all keys and its parts, and the
	// moments of each head's queries, values and outputs.
	keys, heads := int64(s.KVHeads)*int64(s.HeadDim), int64(s.Heads)*int64(s.HeadDim)
	most = max(most, 8*(2*keys*int64(s.Hidden)+5*keys*keys/2+6*heads*int64(s.HeadDim)))
	if stats { // C, the two parts that it is the sum of, and its factor
		most += 4 * 8 * int64(s.Hidden) * int64(s.Hidden)
	}
	return most
}
