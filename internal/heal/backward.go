package heal

import (
	"gonum.org/v1/gonum/blas"

	"github.com/mha2mla/mha2mla/internal/f32"
)

// backward sets the tensors of g to the gradient of a loss with respect to those of the
// layer. Given is the loss's gradient with respect to the output of the attention,
// [N × d].
func (p *pass[T]) backward(output f32.General[T], g *layer[T]) {
	l := p.layer
	f32.Product(g.output, blas.Trans, output, blas.Trans, p.mixed, 1, 0)
	mixed := p.mixed.Like()
	f32.Product(mixed, blas.Trans, l.output, blas.Trans, output, 1, 0)

	queries, rotaryKeys, contentKeys, values := p.queries.Like(), p.rotaryKeys.Like(), p.contentKeys.Like(), p.values.Like()
	p.eachWindow(func(from, n int) {
		a := newAttention(p, from, n)
		key := a.key.Like()
		for h := range l.heads {
			a.head(h)
			clear(key.Data)
			a.unmix(gradients[T]{
				query: a.of(queries, h, l.heads, key.Rows), key: key,
				value: a.of(values, h, l.keyHeads, l.valueDim), out: a.of(mixed, h, l.heads, l.valueDim),
			})
			a.of(contentKeys, h, l.keyHeads, l.contentDim).Add(key.RowsFrom(0, l.contentDim))
			a.of(rotaryKeys, h, len(l.frequencies), l.rotaryDim).Add(key.RowsFrom(l.contentDim, l.rotaryDim))
		}
	})
	p.turn(queries, rotaryKeys, -1)

	f32.Product(g.rotaryKey, blas.NoTrans, rotaryKeys, blas.NoTrans, p.batch.x, 1, 0)
	if l.queryDown.Rows > 0 {
		f32.Product(g.query, blas.NoTrans, queries, blas.Trans, p.queryLatents, 1, 0)
		queries = back(l.query, queries)
		f32.Product(g.queryDown, blas.NoTrans, queries, blas.NoTrans, p.batch.x, 1, 0)
	} else {
		f32.Product(g.query, blas.NoTrans, queries, blas.NoTrans, p.batch.x, 1, 0)
	}

	f32.Product(g.upK, blas.NoTrans, contentKeys, blas.Trans, p.latentK, 1, 0)
	f32.Product(g.upV, blas.NoTrans, values, blas.Trans, p.latentV, 1, 0)
	latentK, latentV := back(l.upK, contentKeys), back(l.upV, values)
	if l.downV.Rows > 0 {
		f32.Product(g.downV, blas.NoTrans, latentV, blas.NoTrans, p.batch.x, 1, 0)
	} else if latentK.Rows > 0 {
		latentK.Add(latentV)
	} else {
		latentK = latentV
	}
	if l.norm.Rows > 0 {
		p.undoNorm(latentK, g.norm.Data)
	}
	f32.Product(g.downK, blas.NoTrans, latentK, blas.NoTrans, p.batch.x, 1, 0)
}

// back returns aᵀ·b.
func back[T f32.Real](a, b f32.General[T]) f32.General[T] {
	y := f32.NewOf[T](a.Cols, b.Cols)
	f32.Product(y, blas.Trans, a, blas.NoTrans, b, 1, 0)
	return y
}

// undoNorm turns the gradient with respect to the latent after the norm, [r × N], in
// place into the one with respect to the latent before it, and sets weight, [r], to the
// gradient of the norm's weight. With y = w∘u, u = s·c and s the token's scale,
// dc = s·(w∘dy − u·mean(w∘dy∘u)).
func (p *pass[T]) undoNorm(latent f32.General[T], weight []T) {
	mean := make([]T, p.batch.x.Rows)
	for i := range latent.Rows {
		dy, u, sum := latent.Row(i), p.unit.Row(i), T(0)
		for t, d := range dy {
			sum += d * u[t]
			mean[t] += p.layer.norm.Data[i] * d * u[t] / T(latent.Rows)
		}
		weight[i] = sum
	}
	for i := range latent.Rows {
		dy, u, w := latent.Row(i), p.unit.Row(i), p.layer.norm.Data[i]
		for t, d := range dy {
			dy[t] = p.scales[t] * (w*d - u[t]*mean[t])
		}
	}
}
