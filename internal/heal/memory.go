package heal

import (
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/latent"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// Memory estimates the bytes that healing takes for m on windows of tokens, where the
// latent and the rotary key of a token are that many floats together. It counts the layer
// of the source, the tensors of the healed one with their gradients, the optimiser and former
// values, five residual streams or what takes as much to learn from, and the activations of a
// batch. Where the output projection alone is fitted, the normal equations take the place of
// gradients and the optimiser.
func Memory(m *family.Model, steps Steps, cache int, windows tokens.Windows) int64 {
	shape := latent.Shape{Hidden: m.Hidden, Heads: m.Heads, HeadDim: m.HeadDim, Latent: cache, WideNorms: m.WideNorms}
	d, r := int64(m.Hidden), int64(cache)
	queries, keys := int64(m.Heads)*int64(m.HeadDim), int64(m.KVHeads)*int64(m.HeadDim)
	batch := int64(max(tokensAtOnce, windows.Longest()))
	tensors := shape.Floats()
	training := 4*(3*tensors+shape.SoapFloats()) + 8*2*tensors
	if steps == Output {
		training = (4*2+8*2)*tensors + 8*queries*(5*queries+4*d)
	}
	source := 4 * d * (2*queries + 2*keys + 3*int64(m.Inner()))
	through := 4 * batch * (10*queries + int64(m.Heads)*r + 6*d)
	return training + source + 5*min(forward.InMemory, 4*d*int64(windows.Tokens())) + through
}
