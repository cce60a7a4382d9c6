package latent

import (
	"math"

	"github.com/mha2mla/mha2mla/internal/f32"
)

// normed holds what an RMSNorm leaves for its backward pass. It is empty without a norm.
type normed[T f32.Real] struct {
	unit   f32.General[T] // [features × N]: what was normed, before the weights
	scales []T            // [N]: what the norm multiplies each token by
}

// norm replaces c, [features × N], by weight ∘ c/√(mean c² + eps), token by token. Without
// weights it leaves c as it is.
func norm[T f32.Real](c f32.General[T], weight []T, eps T) (n normed[T]) {
	if len(weight) == 0 {
		return n
	}
	squares := make([]float64, c.Cols)
	for i := range c.Rows {
		for t, v := range c.Row(i) {
			squares[t] += float64(v) * float64(v)
		}
	}
	n.scales = make([]T, len(squares))
	for t, s := range squares {
		n.scales[t] = T(1 / math.Sqrt(s/float64(c.Rows)+float64(eps)))
	}
	n.unit = c.Like()
	for i := range c.Rows {
		w, c, u := weight[i], c.Row(i), n.unit.Row(i)
		for t, v := range c {
			u[t] = v * n.scales[t]
			c[t] = w * u[t]
		}
	}
	return n
}

// undo turns the gradient with respect to what comes after the norm, [features × N], in place
// into the one with respect to what goes in, and sets into, [features], to the gradient of the
// weights. With y = w∘u, u = s·c and s the token's scale, dc = s·(w∘dy − u·mean(w∘dy∘u)).
// Without a norm it does nothing.
func (n normed[T]) undo(gradient f32.General[T], weight, into []T) {
	if n.scales == nil {
		return
	}
	mean := make([]T, gradient.Cols)
	for i := range gradient.Rows {
		dy, u, sum := gradient.Row(i), n.unit.Row(i), T(0)
		for t, d := range dy {
			sum += d * u[t]
			mean[t] += weight[i] * d * u[t] / T(gradient.Rows)
		}
		into[i] = sum
	}
	for i := range gradient.Rows {
		dy, u, w := gradient.Row(i), n.unit.Row(i), weight[i]
		for t, d := range dy {
			dy[t] = n.scales[t] * (w*d - u[t]*mean[t])
		}
	}
}
