package heal

import "gonum.org/v1/gonum/blas"

// queriesAtOnce bounds the scores held at a time: those of so many queries of one
// head.
const queriesAtOnce = 128

// attention is the attention of one head of one window at a time.
type attention[T real] struct {
	*pass[T]
	from, n         int       // the window's tokens
	key             matrix[T] // [w × n]: content over rotary
	query, value    matrix[T] // [w × n] and [v × n]: parts of the pass's
	out             matrix[T] // [v × n]
	scores, descent matrix[T]
}

func newAttention[T real](p *pass[T], from, n int) *attention[T] {
	return &attention[T]{
		pass: p, from: from, n: n, key: newMatrix[T](p.content+p.layer.rotary, n),
		scores: newMatrix[T](min(n, queriesAtOnce), n),
	}
}

// of returns the rows of head h of m, each of the given number of heads having so
// many, for the tokens of the window.
func (a *attention[T]) of(m matrix[T], h, heads, rows int) matrix[T] {
	return m.part(h*heads/a.heads*rows, rows, a.from, a.n)
}

// head turns to head h.
func (a *attention[T]) head(h int) {
	a.key.rowsFrom(0, a.content).copyFrom(a.of(a.keys, h, a.keyHeads, a.content))
	a.key.rowsFrom(a.content, a.layer.rotary).copyFrom(a.of(a.pass.rotary, h, len(a.frequencies), a.layer.rotary))
	a.query = a.of(a.pass.query, h, a.heads, a.key.rows)
	a.value = a.of(a.values, h, a.keyHeads, a.layer.value)
	a.out = a.of(a.mixed, h, a.heads, a.layer.value)
}

// blocks calls f with the probabilities of all queries, some at a time.
func (a *attention[T]) blocks(f func(from, n int, probabilities matrix[T])) {
	for from := 0; from < a.n; from += queriesAtOnce {
		n := min(queriesAtOnce, a.n-from)
		to := from + n
		p := matrix[T]{n, to, to, a.scores.data[:n*to]}
		product(p, blas.Trans, a.query.part(0, a.query.rows, from, n), blas.NoTrans, a.key.part(0, a.key.rows, 0, to), 0)
		for i := range n {
			row := p.row(i)
			for j := range row[:from+i+1] {
				row[j] *= a.scale
			}
			softmax(row[:from+i+1])
			clear(row[from+i+1:])
		}
		f(from, n, p)
	}
}

// mix sets out to what the head attends to.
func (a *attention[T]) mix() {
	a.blocks(func(from, n int, p matrix[T]) {
		product(a.out.part(0, a.out.rows, from, n), blas.NoTrans, a.value.part(0, a.value.rows, 0, p.cols), blas.Trans, p, 0)
	})
}

// gradients are those of a head of a window: of queries, keys and values, each to
// be added to. dOut is given.
type gradients[T real] struct {
	query, key, value, out matrix[T]
}

// unmix takes the gradient of out back to queries, keys and values. With P the
// probabilities and dP = dOutᵀ·V, that of the scores is P ∘ (dP − Σ_j P_ij dP_ij).
func (a *attention[T]) unmix(g gradients[T]) {
	if a.descent.data == nil {
		a.descent = like(a.scores)
	}
	a.blocks(func(from, n int, p matrix[T]) {
		out, query := g.out.part(0, g.out.rows, from, n), a.query.part(0, a.query.rows, from, n)
		ds := matrix[T]{n, p.cols, p.cols, a.descent.data[:n*p.cols]}
		product(ds, blas.Trans, out, blas.NoTrans, a.value.part(0, a.value.rows, 0, p.cols), 0)
		product(g.value.part(0, g.value.rows, 0, p.cols), blas.NoTrans, out, blas.NoTrans, p, 1)
		for i := range n {
			probabilities, row := p.row(i), ds.row(i)
			mean := T(0)
			for j, v := range probabilities {
				mean += v * row[j]
			}
			for j, v := range probabilities {
				row[j] = a.scale * v * (row[j] - mean)
			}
		}
		product(g.query.part(0, g.query.rows, from, n), blas.NoTrans, a.key.part(0, a.key.rows, 0, p.cols), blas.Trans, ds, 0)
		product(g.key.part(0, g.key.rows, 0, p.cols), blas.NoTrans, query, blas.NoTrans, ds, 1)
	})
}
