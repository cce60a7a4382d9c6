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
	var b batch
	for i, x := range inputs {
		b.X.Data, b.target.Data = append(b.X.Data, x.Data...), append(b.target.Data, targets[i].Data...)
		b.X.Rows, b.X.Cols, b.X.Stride = b.X.Rows+x.Rows, x.Cols, x.Cols
		b.Lengths = append(b.Lengths, x.Rows)
	}
	b.target.Rows, b.target.Cols, b.target.Stride = b.X.Rows, b.X.Cols, b.X.Cols
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
