package latent

import (
	"math"

	"github.com/mha2mla/mha2mla/internal/f32"
)

// Constants of Adam (Kingma and Ba 2015, algorithm 1), and the largest size of a step, relative
// to the mean absolute value of a tensor. Who descends takes a part of it, which depends on the
// size of the model and on how many steps are left.
const (
	momentum    = 0.9   // β₁
	tiny        = 1e-12 // ε
	largestStep = 3e-2  // α, relative
)

// Adam is Adam with a separate step size for every tensor.
type Adam[T f32.Real] struct {
	layer, first, second *Layer[T]
	spread               float64   // β₂
	sizes                []float64 // by tensor: the mean of |w| at the beginning
	steps                int       // how many steps were taken
}

// NewAdam begins to optimise l, with moments of zero. Spread is β₂: squares of gradients are
// remembered for about 1/(1−β₂) steps.
func NewAdam[T f32.Real](l *Layer[T], spread float64) *Adam[T] {
	a := &Adam[T]{layer: l, first: l.Twin(), second: l.Twin(), spread: spread}
	for _, t := range l.Tensors() {
		sum := 0.0
		for _, v := range t.Data {
			sum += math.Abs(float64(v))
		}
		a.sizes = append(a.sizes, sum/float64(len(t.Data)))
	}
	return a
}

// Step changes the layer against gradient g, by the given part of the largest step.
func (a *Adam[T]) Step(g *Layer[T], part float64) {
	a.steps++
	first, second := a.first.Tensors(), a.second.Tensors()
	unbiased1, unbiased2 := 1-math.Pow(momentum, float64(a.steps)), 1-math.Pow(a.spread, float64(a.steps))
	gradients := g.Tensors()
	for k, t := range a.layer.Tensors() {
		rate := T(part * largestStep * a.sizes[k] / unbiased1)
		scale, fresh := T(1/unbiased2), T(1-a.spread)
		m, v, dw := first[k].Data, second[k].Data, gradients[k].Data
		for i, d := range dw {
			m[i] += (1 - momentum) * (d - m[i])
			v[i] += fresh * (d*d - v[i])
			t.Data[i] -= rate * m[i] / (T(math.Sqrt(float64(v[i]*scale))) + tiny)
		}
	}
}
