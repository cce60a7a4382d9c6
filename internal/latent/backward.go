package latent

import (
	"gonum.org/v1/gonum/blas"

	"github.com/mha2mla/mha2mla/internal/f32"
)

// Backward sets the tensors of g to the gradient of a loss with respect to those of the
// layer. Given is the loss's gradient with respect to the output of the attention,
// [N × d].
func (p *Pass[T]) Backward(output f32.General[T], g *Layer[T]) { p.backward(output, g) }

// BackwardThrough is Backward and returns the gradient with respect to the attention inputs,
// [N × d], for what comes before the layer to learn, too.
func (p *Pass[T]) BackwardThrough(output f32.General[T], g *Layer[T]) f32.General[T] {
	l, inputs := p.layer, p.backward(output, g)
	x := p.batch.X.Like()
	add := func(w, projected f32.General[T]) {
		f32.Product(x, blas.Trans, projected, blas.NoTrans, w, 1, 1)
	}
	if l.queryDown.Rows > 0 {
		add(l.queryDown, inputs.queries)
	} else {
		add(l.query, inputs.queries)
	}
	add(l.rotaryKey, inputs.rotaryKeys)
	add(l.downK, inputs.latentK)
	add(l.downV, inputs.latentV)
	return x
}

// projections are the gradients with respect to what is projected from the attention inputs,
// [features × N]. That of the queries is of the compressed ones, if they are compressed. That of
// the latent of the values is empty if keys and values share one.
type projections[T f32.Real] struct{ queries, rotaryKeys, latentK, latentV f32.General[T] }

// backward does the work of Backward.
func (p *Pass[T]) backward(output f32.General[T], g *Layer[T]) projections[T] {
	l := p.layer
	f32.Product(g.Output, blas.Trans, output, blas.Trans, p.Mixed, 1, 0)
	mixed := p.Mixed.Like()
	f32.Product(mixed, blas.Trans, l.Output, blas.Trans, output, 1, 0)
	of := p.unmix(mixed)
	p.turn(of.queries, of.rotaryKeys, -1)

	into := projections[T]{queries: of.queries, rotaryKeys: of.rotaryKeys}
	f32.Product(g.rotaryKey, blas.NoTrans, of.rotaryKeys, blas.NoTrans, p.batch.X, 1, 0)
	if l.queryDown.Rows > 0 {
		into.queries = p.queryLatents.Like()
		l.eachPart(func(part func(f32.General[T]) f32.General[T]) {
			f32.Product(part(g.query), blas.NoTrans, part(of.queries), blas.Trans, part(p.queryLatents), 1, 0)
			f32.Product(part(into.queries), blas.Trans, part(l.query), blas.NoTrans, part(of.queries), 1, 0)
		})
		p.queryNorm.undo(into.queries, l.queryNorm.Data, g.queryNorm.Data)
		f32.Product(g.queryDown, blas.NoTrans, into.queries, blas.NoTrans, p.batch.X, 1, 0)
	} else {
		f32.Product(g.query, blas.NoTrans, of.queries, blas.NoTrans, p.batch.X, 1, 0)
	}

	f32.Product(g.upK, blas.NoTrans, of.contentKeys, blas.Trans, p.latentK, 1, 0)
	f32.Product(g.upV, blas.NoTrans, of.values, blas.Trans, p.latentV, 1, 0)
	latentK, latentV := back(l.upK, of.contentKeys), back(l.upV, of.values)
	if l.downV.Rows > 0 {
		f32.Product(g.downV, blas.NoTrans, latentV, blas.NoTrans, p.batch.X, 1, 0)
		into.latentV = latentV
	} else if latentK.Rows > 0 {
		latentK.Add(latentV)
	} else {
		latentK = latentV
	}
	p.latentNorm.undo(latentK, l.norm.Data, g.norm.Data)
	f32.Product(g.downK, blas.NoTrans, latentK, blas.NoTrans, p.batch.X, 1, 0)
	into.latentK = latentK
	return into
}

// parts are the gradients with respect to what the attention itself computes with, in the
// shapes of the fields of a pass.
type parts[T f32.Real] struct{ queries, rotaryKeys, contentKeys, values f32.General[T] }

// unmix takes the gradient of the mixed values back through the attention of all heads. Heads
// that share keys go one after the other; their parts of the rotary keys' gradient are added up
// in the end, so that no sum depends on the schedule.
func (p *Pass[T]) unmix(mixed f32.General[T]) parts[T] {
	l := p.layer
	of := parts[T]{p.queries.Like(), p.rotaryKeys.Like(), p.contentKeys.Like(), p.values.Like()}
	rotary := f32.NewOf[T](l.heads*l.rotaryDim, p.batch.X.Rows)
	p.eachHead(l.keyHeads, func(a *attention[T], shared int) {
		key := a.key.Like()
		for h := shared * l.heads / l.keyHeads; h < (shared+1)*l.heads/l.keyHeads; h++ {
			a.head(h)
			clear(key.Data)
			a.unmix(gradients[T]{
				query: a.of(of.queries, h, l.heads, key.Rows), key: key,
				value: a.of(of.values, h, l.keyHeads, l.valueDim), out: a.of(mixed, h, l.heads, l.valueDim),
			})
			a.of(of.contentKeys, h, l.keyHeads, l.contentDim).Add(key.RowsFrom(0, l.contentDim))
			a.of(rotary, h, l.heads, l.rotaryDim).CopyFrom(key.RowsFrom(l.contentDim, l.rotaryDim))
		}
	})
	keys := len(l.frequencies)
	for h := range l.heads {
		of.rotaryKeys.RowsFrom(h*keys/l.heads*l.rotaryDim, l.rotaryDim).Add(rotary.RowsFrom(h*l.rotaryDim, l.rotaryDim))
	}
	return of
}

// back returns aᵀ·b.
func back[T f32.Real](a, b f32.General[T]) f32.General[T] {
	y := f32.NewOf[T](a.Cols, b.Cols)
	f32.Product(y, blas.Trans, a, blas.NoTrans, b, 1, 0)
	return y
}
