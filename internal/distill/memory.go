package distill

import (
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/latent"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// Memory estimates the bytes that training takes for m on windows of tokens, where the latent and
// the rotary key of a token are that many floats together. It counts the tensors of all layers
// with their optimisers and former values, the head, the logits of some positions, the streams of
// both models between layers, and the activations of one layer with its gradients.
func Memory(m *family.Model, cache int, windows tokens.Windows) int64 {
	shape := latent.Shape{Hidden: m.Hidden, Heads: m.Heads, HeadDim: m.HeadDim, Latent: cache, WideNorms: m.WideNorms}
	d, r, layers := int64(m.Hidden), int64(cache), int64(m.Layers)
	queries, n := int64(m.Heads)*int64(m.HeadDim), int64(max(tokensAtOnce, windows.Longest()))
	tensors := layers*(2*shape.Floats()+shape.SoapFloats()) + 2*shape.Floats()
	streams := n * d * (2*layers + 8)
	attention := n * (12*queries + int64(m.Heads)*r + 2*r)
	mlp := 3*int64(m.Inner())*d + 3*n*int64(m.Inner())
	head := int64(m.Vocab) * (d + 2*positionsAtOnce)
	return 4 * (tensors + streams + attention + mlp + head)
}
