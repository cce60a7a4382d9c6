package mla

import (
	"gonum.org/v1/gonum/mat"
)

// Pooled is an attention layer with fewer KV heads, each the mean of several (Ainslie et al.
// 2023; design §7). This is no latent attention, but the oldest way to a smaller cache, for
// comparison.
type Pooled struct {
	Keys, Values *mat.Dense // [G'·D × d]
	Energy       float64    // share of the stack's squared Frobenius norm that is kept
}

// Pool converts the layer to G' KV heads, a number that must divide G. It uses up a.Stack.
func (a *Attention) Pool(kvHeads int) *Pooled {
	s := a.Shape()
	D, mean := s.HeadDim, s.KVHeads/kvHeads
	_, d := a.Stack.Dims()
	pooled := mat.NewDense(2*kvHeads*D, d, nil)
	for head := range 2 * s.KVHeads { // keys, then values
		to := block(pooled, head/mean, D)
		to.Add(to, block(a.Stack, head, D))
	}
	pooled.Scale(1/float64(mean), pooled)
	kept, all := mat.Norm(pooled, 2), mat.Norm(a.Stack, 2)
	a.Stack = nil
	n := kvHeads * D
	return &Pooled{
		Keys: pooled.Slice(0, n, 0, d).(*mat.Dense), Values: pooled.Slice(n, 2*n, 0, d).(*mat.Dense),
		Energy: ratio(float64(mean)*kept*kept, all*all),
	}
}
