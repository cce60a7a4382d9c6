package heal

import (
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// Memory estimates the bytes that healing takes for m on windows of tokens, where the
// latent and the rotary key of a token are that many floats together. It counts the layer
// of the source, the tensors of the healed one with their gradients, moments and former
// values, five residual streams or what takes as much to learn from, and the activations of a
// batch. Where the output projection alone is fitted, the normal equations take the place of
// gradients and moments.
func Memory(m *family.Model, steps Steps, latent int, windows tokens.Windows) int64 {
	d, r := int64(m.Hidden), int64(latent)
	queries, keys := int64(m.Heads)*int64(m.HeadDim), int64(m.KVHeads)*int64(m.HeadDim)
	batch := int64(max(tokensAtOnce, windows.Longest()))
	single, double := int64(5), int64(2) // copies of the tensors in each precision
	equations := int64(0)
	if steps == Output {
		single, equations = 2, 8*queries*(5*queries+4*d)
	}
	tensors := 2*queries*d + int64(m.Heads)*r*d/4 + r*d + 2*queries*r
	if m.WideNorms { // queries are compressed to as many floats as they have
		tensors += queries * d
	}
	source := 4 * d * (2*queries + 2*keys + 3*int64(m.Inner()))
	through := 4 * batch * (10*queries + int64(m.Heads)*r + 6*d)
	return (4*single+8*double)*tensors + equations + source + 5*min(forward.InMemory, 4*d*int64(windows.Tokens())) + through
}
