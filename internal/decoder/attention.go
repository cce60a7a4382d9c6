package decoder

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/mha2mla/mha2mla/internal/vector"
)

// columns returns n columns of m from the given one on, sharing its data.
func columns(m Matrix, from, n int) Matrix {
	return Matrix{Rows: m.Rows, Cols: n, Stride: m.Stride, Data: m.Data[from : (m.Rows-1)*m.Stride+from+n]}
}

// joined returns columns of two matrices side by side: n of a from column from on, and
// m of b from column at on, which are not looked at if m is 0.
func joined(a Matrix, from, n int, b Matrix, at, m int) Matrix {
	both := NewMatrix(a.Rows, n+m)
	for t := range a.Rows {
		row := both.Data[t*both.Stride:][:both.Cols]
		copy(row[:n], a.Data[t*a.Stride+from:])
		if m > 0 {
			copy(row[n:], b.Data[t*b.Stride+at:])
		}
	}
	return both
}

// rotation holds e^{jωt} for every position and pair.
type rotation struct {
	pairs    int
	cos, sin []float32
}

func newRotation(frequency []float64, positions int) *rotation {
	return newRotationFrom(frequency, 0, positions)
}

// newRotationFrom is newRotation from a later position on.
func newRotationFrom(frequency []float64, from, positions int) *rotation {
	r := &rotation{len(frequency), make([]float32, positions*len(frequency)), make([]float32, positions*len(frequency))}
	for t := range positions {
		for i, omega := range frequency {
			sin, cos := math.Sincos(omega * float64(from+t))
			r.cos[t*r.pairs+i], r.sin[t*r.pairs+i] = float32(cos), float32(sin)
		}
	}
	return r
}

// apply rotates a head of m in place. Pair i has its real part at column
// from + i·step and its imaginary part gap columns further.
func (r *rotation) apply(m Matrix, from, step, gap int) {
	for t := range m.Rows {
		row := m.Data[t*m.Stride+from:]
		for i := range r.pairs {
			cos, sin := r.cos[t*r.pairs+i], r.sin[t*r.pairs+i]
			re, im := row[i*step], row[i*step+gap]
			row[i*step], row[i*step+gap] = re*cos-im*sin, re*sin+im*cos
		}
	}
}

// QueriesAtOnce is how many queries of a head are attended for together. Their scores
// are to stay in the second-level cache.
const QueriesAtOnce = 128

// attend sets out to causal softmax(scale·q·kᵀ)·v for one head. Window, if not 0, is how
// many positions up to its own a query attends to. Seen, if not nil, is shown the
// probabilities of the queries from the given one on, and what they mix.
func attend(out, q, k, v Matrix, scale float64, window int, seen func(from int, probabilities, mixed Matrix)) {
	buffer := make([]float32, min(QueriesAtOnce, q.Rows)*q.Rows)
	for from := 0; from < q.Rows; from += QueriesAtOnce {
		to := min(from+QueriesAtOnce, q.Rows)
		scores, mixed := Matrix{Rows: to - from, Cols: to, Stride: to, Data: buffer[:(to-from)*to]}, rows(out, from, to)
		blas32.Gemm(blas.NoTrans, blas.Trans, float32(scale), rows(q, from, to), rows(k, 0, to), 0, scores)
		causal(scores, from, window)
		blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, scores, rows(v, 0, to), 0, mixed)
		if seen != nil {
			seen(from, scores, mixed)
		}
	}
}

// causal turns the scores of the queries from the given one on into probabilities.
func causal(scores Matrix, from, window int) {
	for i := range scores.Rows {
		row := scores.Data[i*scores.Stride : i*scores.Stride+scores.Cols]
		first, end := 0, from+i+1
		if window > 0 {
			first = max(0, end-window)
		}
		vector.Softmax(row[first:end])
		clear(row[:first])
		clear(row[end:])
	}
}

// rows returns rows from up to to of m, sharing its data.
func rows(m Matrix, from, to int) Matrix {
	return Matrix{Rows: to - from, Cols: m.Cols, Stride: m.Stride, Data: m.Data[from*m.Stride : (to-1)*m.Stride+m.Cols]}
}
