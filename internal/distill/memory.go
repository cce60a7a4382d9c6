package distill

import (
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// Memory estimates the bytes that training takes for m on windows of tokens, where the latent and
// the rotary key of a token are that many floats together. It counts the tensors of all layers
// with their moments and former values, the head, the logits of some positions, the streams of
// both models between layers, and the activations of one layer with its gradients.
func Memory(m *family.Model, latent int, windows tokens.Windows) int64 {
	d, r, layers := int64(m.Hidden), int64(latent), int64(m.Layers)
	queries, n := int64(m.Heads)*int64(m.HeadDim), int64(max(tokensAtOnce, windows.Longest()))
	tensors := 2*queries*d + int64(m.Heads)*r*d/4 + r*d + 2*queries*r
	streams := n * d * (2*layers + 8)
	attention := n * (12*queries + int64(m.Heads)*r + 2*r)
	mlp := 3*int64(m.Inner())*d + 3*n*int64(m.Inner())
	head := int64(m.Vocab) * (d + 2*positionsAtOnce)
	return 4 * (tensors*(4*layers+2) + streams + attention + mlp + head)
}
