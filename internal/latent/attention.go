package latent

import (
	"gonum.org/v1/gonum/blas"

	"github.com/mha2mla/mha2mla/internal/f32"
)

// attention is the attention of one head of one window at a time.
type attention[T f32.Real] struct {
	pass          *Pass[T]
	from, n       int            // the window's first token in the batch, and its tokens
	key           f32.General[T] // [w × n]: content rows over rotary rows
	query, value  f32.General[T] // [w × n] and [v × n]: views of the pass's matrices
	out           f32.General[T] // [v × n]: a view, too
	probabilities *f32.Blocks[T]
	descent       []T // the gradient of the scores of some queries
}

// newAttention returns the attention for the window of n tokens that begins at from.
func newAttention[T f32.Real](p *Pass[T], from, n int) *attention[T] {
	return &attention[T]{
		pass: p, from: from, n: n, key: f32.NewOf[T](p.layer.contentDim+p.layer.rotaryDim, n),
		probabilities: f32.NewBlocks[T](n, 0),
	}
}

// of returns the part of m, [heads·rows × N], that query head h uses, for the tokens of
// the window: [rows × n]. Where m has fewer heads than there are queries, several query
// heads use the same part.
func (a *attention[T]) of(m f32.General[T], h, heads, rows int) f32.General[T] {
	return m.Part(h*heads/a.pass.layer.heads*rows, rows, a.from, a.n)
}

// head selects head h.
func (a *attention[T]) head(h int) {
	p, l := a.pass, a.pass.layer
	a.key.RowsFrom(0, l.contentDim).CopyFrom(a.of(p.contentKeys, h, l.keyHeads, l.contentDim))
	a.key.RowsFrom(l.contentDim, l.rotaryDim).CopyFrom(a.of(p.rotaryKeys, h, len(l.frequencies), l.rotaryDim))
	a.query = a.of(p.queries, h, l.heads, a.key.Rows)
	a.value = a.of(p.values, h, l.keyHeads, l.valueDim)
	a.out = a.of(p.Mixed, h, l.heads, l.valueDim)
}

// blocks calls f with the probabilities of all queries, those of a block of queries,
// [queries × keys], at a time.
func (a *attention[T]) blocks(f func(from int, probabilities f32.General[T])) {
	scale := a.pass.layer.scale
	a.probabilities.Each(func(from int, p f32.General[T]) {
		f32.Product(p, blas.Trans, a.query.ColumnsFrom(from, p.Rows), blas.NoTrans, a.key.ColumnsFrom(0, p.Cols), 1, 0)
		for i := range p.Rows {
			row := p.Row(i)
			for j := range row[:from+i+1] {
				row[j] *= scale
			}
		}
	}, f)
}

// mix sets out to the values that the head attends to, weighted by the probabilities.
func (a *attention[T]) mix() {
	a.blocks(func(from int, p f32.General[T]) {
		f32.Product(a.out.ColumnsFrom(from, p.Rows), blas.NoTrans, a.value.ColumnsFrom(0, p.Cols), blas.Trans, p, 1, 0)
	})
}

// gradients are the gradients of one head of one window, in the shapes of attention's
// matrices.
type gradients[T f32.Real] struct {
	query, key, value f32.General[T] // results; query is set, key and value are added to
	out               f32.General[T] // given
}

// unmix takes the gradient of out back to queries, keys and values. With P the
// probabilities and dP = dOutᵀ·V, the gradient of the scores is P ∘ (dP − Σ_j P_ij dP_ij).
func (a *attention[T]) unmix(g gradients[T]) {
	if a.descent == nil {
		a.descent = make([]T, min(a.n, f32.QueriesAtOnce)*a.n)
	}
	scale := a.pass.layer.scale
	a.blocks(func(from int, p f32.General[T]) {
		out, query := g.out.ColumnsFrom(from, p.Rows), a.query.ColumnsFrom(from, p.Rows)
		ds := f32.General[T]{Rows: p.Rows, Cols: p.Cols, Stride: p.Cols, Data: a.descent[:p.Rows*p.Cols]}
		f32.Product(ds, blas.Trans, out, blas.NoTrans, a.value.ColumnsFrom(0, p.Cols), 1, 0)
		f32.Product(g.value.ColumnsFrom(0, p.Cols), blas.NoTrans, out, blas.NoTrans, p, 1, 1)
		for i := range p.Rows {
			probabilities, row := p.Row(i), ds.Row(i)
			mean := T(0)
			for j, v := range probabilities {
				mean += v * row[j]
			}
			for j, v := range probabilities {
				row[j] = scale * v * (row[j] - mean)
			}
		}
		f32.Product(g.query.ColumnsFrom(from, p.Rows), blas.NoTrans, a.key.ColumnsFrom(0, p.Cols), blas.Trans, ds, 1, 0)
		f32.Product(g.key.ColumnsFrom(0, p.Cols), blas.NoTrans, query, blas.NoTrans, ds, 1, 1)
	})
}
