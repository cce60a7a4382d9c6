package mla

import (
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/linalg"
)

// Method is a way to a smaller cache: this program's own, or a published one for
// comparison.
type Method string

// The methods.
const (
	MethodAttention   Method = "attention" // this program's: least loss of attention output (design §4 and §5)
	MethodMHA2MLA     Method = "mha2mla"   // pairs per KV head by their norms, plain SVD (Ji et al. 2025)
	MethodTransMLA    Method = "transmla"  // RoRoPE, FreqFold and balanced PCA (Meng et al. 2025)
	MethodGroupedMean Method = "gqa-mean"  // KV heads pooled by their mean (Ainslie et al. 2023)
)

// Methods lists the methods.
func Methods() []Method {
	return []Method{MethodAttention, MethodMHA2MLA, MethodTransMLA, MethodGroupedMean}
}

// Published reports whether m is a published method, which gets the statistics that its
// authors give it and no others.
func (m Method) Published() bool { return m != MethodAttention && m != "" }

// balance returns the blocks of A², [2·G] of [D × D], that scale the keys of a stack of G KV
// heads, [2·G·D × d], to the norm of its values, both over inputs of the given second
// moments (Meng et al. 2025).
func balance(stack *mat.Dense, input linalg.Metric, G int) []*mat.SymDense {
	weighted := mat.DenseCopyOf(stack)
	input.Apply(weighted)
	n, d := weighted.Dims()
	keys, values := mat.Norm(weighted.Slice(0, n/2, 0, d), 2), mat.Norm(weighted.Slice(n/2, n, 0, d), 2)
	factor := 1.0
	if keys > 0 && values > 0 {
		factor = values / keys
	}
	blocks := make([]*mat.SymDense, 2*G)
	for i := range blocks {
		blocks[i] = mat.NewSymDense(n/len(blocks), nil)
		for k := range n / len(blocks) {
			blocks[i].SetSym(k, k, 1)
			if i < G {
				blocks[i].SetSym(k, k, factor*factor)
			}
		}
	}
	return blocks
}
