package heal

import "gonum.org/v1/gonum/blas"

// backward sets the tensors of g to the gradient of a loss whose gradient with
// respect to the output, [N × d], is given.
func (p *pass[T]) backward(output matrix[T], g *layer[T]) {
	l := p.layer
	product(g.output, blas.Trans, output, blas.Trans, p.mixed, 0)
	mixed := like(p.mixed)
	product(mixed, blas.Trans, l.output, blas.Trans, output, 0)

	query, rotary, keys, values := like(p.query), like(p.rotary), like(p.keys), like(p.values)
	p.eachWindow(func(from, n int) {
		a := newAttention(p, from, n)
		key := like(a.key)
		for h := range l.heads {
			a.head(h)
			clear(key.data)
			a.unmix(gradients[T]{
				query: a.of(query, h, l.heads, key.rows), key: key,
				value: a.of(values, h, l.keyHeads, l.value), out: a.of(mixed, h, l.heads, l.value),
			})
			a.of(keys, h, l.keyHeads, l.content).add(key.rowsFrom(0, l.content))
			a.of(rotary, h, len(l.frequencies), l.rotary).add(key.rowsFrom(l.content, l.rotary))
		}
	})
	p.turn(query, rotary, -1)

	product(g.rotaryKey, blas.NoTrans, rotary, blas.NoTrans, p.x, 0)
	if l.queryDown.rows > 0 {
		product(g.query, blas.NoTrans, query, blas.Trans, p.queryLatent, 0)
		query = back(l.query, query)
		product(g.queryDown, blas.NoTrans, query, blas.NoTrans, p.x, 0)
	} else {
		product(g.query, blas.NoTrans, query, blas.NoTrans, p.x, 0)
	}

	product(g.upK, blas.NoTrans, keys, blas.Trans, p.latentK, 0)
	product(g.upV, blas.NoTrans, values, blas.Trans, p.latentV, 0)
	latentK, latentV := back(l.upK, keys), back(l.upV, values)
	if l.downV.rows > 0 {
		product(g.downV, blas.NoTrans, latentV, blas.NoTrans, p.x, 0)
	} else if latentK.rows > 0 {
		latentK.add(latentV)
	} else {
		latentK = latentV
	}
	if l.norm.rows > 0 {
		p.undoNorm(latentK, g.norm.data)
	}
	product(g.downK, blas.NoTrans, latentK, blas.NoTrans, p.x, 0)
}

// back returns aᵀ·b.
func back[T real](a, b matrix[T]) matrix[T] {
	y := newMatrix[T](a.cols, b.cols)
	product(y, blas.Trans, a, blas.NoTrans, b, 0)
	return y
}

// undoNorm takes the gradient of the latent after the norm, in place, to that of
// the latent before, and sets weight to that of the norm's weight. With y = w∘u,
// u = s·c and s the token's scale: dc = s·(w∘dy − u·mean(w∘dy∘u)).
func (p *pass[T]) undoNorm(latent matrix[T], weight []T) {
	mean := make([]T, p.x.rows)
	for i := range latent.rows {
		dy, u, sum := latent.row(i), p.unit.row(i), T(0)
		for t, d := range dy {
			sum += d * u[t]
			mean[t] += p.norm.data[i] * d * u[t] / T(latent.rows)
		}
		weight[i] = sum
	}
	for i := range latent.rows {
		dy, u, w := latent.row(i), p.unit.row(i), p.norm.data[i]
		for t, d := range dy {
			dy[t] = p.scales[t] * (w*d - u[t]*mean[t])
		}
	}
}
