package latent_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/latent"
	"github.com/mha2mla/mha2mla/internal/latent/latenttest"
)

// loss returns Σ ‖output − target‖² over the tokens of a pass, and its gradient with respect to
// the output.
func loss(p *latent.Pass[float64], target f32.General[float64]) (gradient f32.General[float64], sum float64) {
	gradient = p.Output.Like()
	for i, v := range p.Output.Data {
		d := v - target.Data[i]
		gradient.Data[i] = 2 * d
		sum += d * d
	}
	return gradient, sum
}

// TestGradients compares the gradient of every tensor, and of the inputs, with central
// differences at numbers spread over it, on windows of different lengths of which one is longer
// than a block of queries.
func TestGradients(t *testing.T) {
	for name, f := range latenttest.Forms {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			l := latent.New[float64](f.Weights(rng))
			b := latent.Batch[float64]{Lengths: []int{3, f32.QueriesAtOnce + 5, 1}}
			b.X = f32.From[float64](latenttest.Random(rng, f32.QueriesAtOnce+9, 12, 1))
			target := f32.From[float64](latenttest.Random(rng, f32.QueriesAtOnce+9, 12, 1))
			g := l.Twin()
			p := l.Forward(b)
			descent, _ := loss(p, target)
			inputs := p.BackwardThrough(descent, g)
			lost := func() float64 {
				_, sum := loss(l.Forward(b), target)
				return sum
			}
			gradients := g.Tensors()
			for which, tensor := range l.Tensors() {
				if err := matches(gradients[which].Data, tensor.Data, lost); err != nil {
					t.Errorf("%s: %v", tensor.Name, err)
				}
			}
			if err := matches(inputs.Data, b.X.Data, lost); err != nil {
				t.Errorf("inputs: %v", err)
			}
		})
	}
}

// matches is an error if the gradient of a loss with respect to values is not what central
// differences at ten of them say.
func matches(gradient, values []float64, loss func() float64) error {
	const numbers, h = 10, 1e-5
	off, size := 0.0, 0.0
	for k := range min(numbers, len(values)) {
		i := (k*len(values) + len(values)/2) / numbers
		if len(values) < numbers {
			i = k
		}
		before := values[i]
		var side [2]float64
		for s, step := range []float64{h, -h} {
			values[i] = before + step
			side[s] = loss()
		}
		values[i] = before
		want := (side[0] - side[1]) / (2 * h)
		off, size = math.Hypot(off, gradient[i]-want), math.Hypot(size, want)
	}
	if !(off <= 1e-7*size) && !(size == 0 && off == 0) {
		return fmt.Errorf("a gradient of length %.3g is off by %.3g", size, off)
	}
	return nil
}
