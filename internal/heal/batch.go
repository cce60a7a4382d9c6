package heal

import (
	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/latent"
)

// batch holds some windows of tokens, one after the other: the attention inputs, and what
// the attention should add to the residual stream.
type batch struct {
	latent.Batch[float32]
	target f32.Matrix // [N × d]
}

// joined returns windows of inputs and targets, [T × d] each, as a batch.
func joined(inputs, targets []f32.Matrix) batch {
	b := batch{target: f32.Stack(targets)}
	b.X = f32.Stack(inputs)
	for _, x := range inputs {
		b.Lengths = append(b.Lengths, x.Rows)
	}
	return b
}

// energy returns Σ ‖target‖² over the tokens.
func (b *batch) energy() float64 { return b.target.SquaredNorm() }

// loss returns factor times the squared error of the output that a layer has for the batch,
// Σ ‖output − target‖² over the tokens, and its gradient with respect to that output, [N × d].
func (b *batch) loss(output f32.Matrix, factor float64) (gradient f32.Matrix, loss float64) {
	gradient = output.Like()
	for i, v := range output.Data {
		d := v - b.target.Data[i]
		gradient.Data[i] = float32(2*factor) * d
		loss += float64(d) * float64(d)
	}
	return gradient, factor * loss
}
