package f32

import (
	"math"

	"gonum.org/v1/gonum/blas"

	"github.com/mha2mla/mha2mla/internal/vector"
)

// QueriesAtOnce is how many queries of a head are in a block. With so many, their scores
// stay in the second-level cache.
const QueriesAtOnce = 128

// Blocks computes the causal attention probabilities of heads, one head after the other, in
// a window of tokens, a block of queries at a time.
type Blocks[T Real] struct {
	tokens int
	reach  int // how many positions, up to its own, a query attends to; 0 for all
	scores []T // room for those of a block of queries
}

// NewBlocks prepares for windows of that many tokens. Reach is how many positions, up to its
// own, a query attends to, or 0 for all.
func NewBlocks[T Real](tokens, reach int) *Blocks[T] {
	return &Blocks[T]{tokens: tokens, reach: reach, scores: make([]T, min(QueriesAtOnce, tokens)*tokens)}
}

// Each takes all queries of a head in their order, a block at a time. Score must set p,
// [queries × keys], to the scores of the queries from the given one on; the keys end with
// that of the last query. Use gets the probabilities in the place of the scores, and must not
// keep p.
func (b *Blocks[T]) Each(score, use func(from int, p General[T])) {
	for from := 0; from < b.tokens; from += QueriesAtOnce {
		to := min(from+QueriesAtOnce, b.tokens)
		p := General[T]{Rows: to - from, Cols: to, Stride: to, Data: b.scores[:(to-from)*to]}
		score(from, p)
		causal(p, from, b.reach)
		use(from, p)
	}
}

// causal turns the scores of the queries from the given one on into probabilities, which are
// zero for keys behind a query or out of its reach.
func causal[T Real](scores General[T], from, reach int) {
	for i := range scores.Rows {
		row := scores.Row(i)
		first, end := 0, from+i+1
		if reach > 0 {
			first = max(0, end-reach)
		}
		Softmax(row[first:end])
		clear(row[:first])
		clear(row[end:])
	}
}

// Attention sets out, [T × D_v], to causal softmax(scale·q·kᵀ)·v for one head, with q and k
// [T × D] and v [T × D_v]. Reach is how many positions, up to its own, a query attends to, or
// 0 for all. Seen, if not nil, is called for each block of queries with the number of the
// first one, the probabilities, [queries × keys], and their rows of out.
func Attention(out, q, k, v Matrix, scale float64, reach int, seen func(from int, probabilities, mixed Matrix)) {
	NewBlocks[float32](q.Rows, reach).Each(func(from int, p Matrix) {
		Product(p, blas.NoTrans, q.RowsFrom(from, p.Rows), blas.Trans, k.RowsFrom(0, p.Cols), float32(scale), 0)
	}, func(from int, p Matrix) {
		mixed := out.RowsFrom(from, p.Rows)
		Product(mixed, blas.NoTrans, p, blas.NoTrans, v.RowsFrom(0, p.Cols), 1, 0)
		if seen != nil {
			seen(from, p, mixed)
		}
	})
}

// Softmax replaces the scores v, of which there must be one or more, by the probabilities
// e^v / Σ e^v.
func Softmax[T Real](v []T) {
	switch v := any(v).(type) {
	case []float32:
		vector.Softmax(v)
	case []float64:
		softmax64(v)
	}
}

// softmax64 is Softmax in double precision.
func softmax64(v []float64) {
	largest, sum := math.Inf(-1), 0.0
	for _, x := range v {
		largest = max(largest, x)
	}
	for i, x := range v {
		v[i] = math.Exp(x - largest)
		sum += v[i]
	}
	for i := range v {
		v[i] /= sum
	}
}
