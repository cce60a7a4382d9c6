package calib

import (
	"gonum.org/v1/gonum/blas"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/vector"
)

// headSums are sums over the attention a_st of queries s to keys t in one head of one
// window.
type headSums struct {
	distances []float64 // [T]: Σ_s a_st at each distance s − t
	attended  []float64 // [T]: Σ_s a_st² of each key t
	scores    []float64 // [T]: Σ_s a_st² ‖W_o(v_t − o_s)‖² at each distance s − t
}

// headObserver adds up one head. Let v be the value of a key and m what a query mixes.
// With L·Lᵀ = W_oᵀ·W_o, y = Lᵀv and o = Lᵀm,
//
//	‖W_o(v − m)‖² = ‖y − o‖² = (−2o, 1, ‖o‖²)·(y, ‖y‖², 1),
//
// so that one product yields all squared distances.
type headObserver struct {
	headSums
	root    f32.Matrix // L, [D × D]
	keys    f32.Matrix // [T × D+2]: (y, ‖y‖², 1), filled as far as keys were observed
	queries f32.Matrix // [queries × D+2]: (−2o, 1, ‖o‖²)
	squares []float32  // the squared distances of some queries

	near, seen, far []float32 // sums over some queries
}

// newHeadObserver returns an observer of a window of the given number of tokens.
func newHeadObserver(root f32.Matrix, tokens int) *headObserver {
	return &headObserver{
		headSums: headSums{make([]float64, tokens), make([]float64, tokens), make([]float64, tokens)},
		root:     root,
		keys:     f32.New(tokens, root.Rows+2),
		near:     make([]float32, tokens), seen: make([]float32, tokens), far: make([]float32, tokens),
	}
}

// observe adds up the queries from the given one on: their probabilities p, [queries ×
// T], the values v, [T × D], and what they mix of them, [queries × D].
func (o *headObserver) observe(from int, p, v, mixed f32.Matrix) {
	to := from + p.Rows
	if o.queries.Data == nil {
		o.queries = f32.New(p.Rows, o.keys.Cols)
		o.squares = make([]float32, p.Rows*v.Rows)
	}
	keys, queries := o.keys.RowsFrom(from, p.Rows), o.queries.RowsFrom(0, p.Rows)
	o.project(keys, v.RowsFrom(from, p.Rows), 1, 0)
	o.project(queries, mixed, -2, 1)
	d := f32.Matrix{Rows: p.Rows, Cols: to, Stride: to, Data: o.squares[:p.Rows*to]}
	f32.ProjectTo(d, queries, o.keys.RowsFrom(0, to))
	o.add(from, p, d)
}

// project sets the rows of to to (factor·Lᵀx, ‖Lᵀx‖², 1), the last two the other way
// round if swap is 1.
func (o *headObserver) project(to, x f32.Matrix, factor float32, swap int) {
	y := to.ColumnsFrom(0, x.Cols)
	f32.Product(y, blas.NoTrans, x, blas.NoTrans, o.root, 1, 0)
	for t := range to.Rows {
		row := to.Data[t*to.Stride:][:to.Cols]
		square := float32(0)
		for j, v := range row[:x.Cols] {
			square += v * v
			row[j] = factor * v
		}
		row[x.Cols+swap], row[x.Cols+1-swap] = square, 1
	}
}

// add adds up the queries from the given one on, whose probabilities are p and whose
// squared distances are d. Sums over the few queries of a call are held in single
// precision, those by distance in the order of t − s, in which the keys of a query lie.
func (o *headObserver) add(from int, p, d f32.Matrix) {
	to := from + p.Rows
	near, seen, far := o.near[:to], o.seen[:to], o.far[:to]
	clear(near)
	clear(seen)
	clear(far)
	for i := range p.Rows {
		keys, shift := from+i+1, p.Rows-1-i
		vector.Observe(near[shift:], seen, far[shift:], p.Data[i*p.Stride:][:keys], d.Data[i*d.Stride:][:keys])
	}
	for i, v := range seen {
		o.attended[i] += float64(v)
		o.distances[to-1-i] += float64(near[i])
		o.scores[to-1-i] += float64(far[i])
	}
}
