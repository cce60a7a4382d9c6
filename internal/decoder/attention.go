package decoder

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// columns returns n columns of m from the given one on, sharing its data.
func columns(m Matrix, from, n int) Matrix {
	return Matrix{Rows: m.Rows, Cols: n, Stride: m.Stride, Data: m.Data[from : (m.Rows-1)*m.Stride+from+n]}
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

// queriesAtOnce bounds the scores held at a time.
const queriesAtOnce = 128

// attend sets out to causal softmax(scale·q·kᵀ)·v for one head. Keys and values
// are transposed first, so that the products run along the sequence, which is
// long, and not along the head, which may be short. Window, if not 0, is how many
// positions up to its own a query attends to. Seen, if not nil, is shown the
// probabilities of the queries from the given one on.
func attend(out, q, k, v Matrix, scale float64, window int, seen func(from int, probabilities Matrix)) {
	keys, values := transpose(k), transpose(v)
	for from := 0; from < q.Rows; from += queriesAtOnce {
		to := min(from+queriesAtOnce, q.Rows)
		scores := NewMatrix(to-from, to)
		blas32.Gemm(blas.NoTrans, blas.NoTrans, float32(scale), rows(q, from, to), columns(keys, 0, to), 0, scores)
		for i := range scores.Rows {
			row := scores.Data[i*to : (i+1)*to]
			first, end := 0, from+i+1
			if window > 0 {
				first = max(0, end-window)
			}
			softmax(row[first:end])
			clear(row[:first])
			clear(row[end:])
		}
		if seen != nil {
			seen(from, scores)
		}
		mixed := NewMatrix(values.Rows, to-from)
		blas32.Gemm(blas.NoTrans, blas.Trans, 1, columns(values, 0, to), scores, 0, mixed)
		transposeTo(rows(out, from, to), mixed)
	}
}

func transpose(m Matrix) Matrix {
	t := NewMatrix(m.Cols, m.Rows)
	transposeTo(t, m)
	return t
}

func transposeTo(dst, m Matrix) {
	for i := range m.Rows {
		for j, v := range m.Data[i*m.Stride : i*m.Stride+m.Cols] {
			dst.Data[j*dst.Stride+i] = v
		}
	}
}

// rows returns rows from up to to of m, sharing its data.
func rows(m Matrix, from, to int) Matrix {
	return Matrix{Rows: to - from, Cols: m.Cols, Stride: m.Stride, Data: m.Data[from*m.Stride : (to-1)*m.Stride+m.Cols]}
}

func softmax(v []float32) {
	largest := v[0]
	for _, x := range v {
		if x > largest {
			largest = x
		}
	}
	sum := float32(0)
	for i, x := range v {
		e := exp(x - largest)
		v[i] = e
		sum += e
	}
	scale := 1 / sum
	for i := range v {
		v[i] *= scale
	}
}

// exp is e^x to float32 precision. It splits x = n·ln 2 + r, |r| ≤ ln 2 / 2, sums
// the series of e^r to degree 6, pairwise, and puts n into the exponent; the library's
// float64 function takes several times as long.
func exp(x float32) float32 {
	const ln2High, ln2Low = 0.693145751953125, 1.428606765330187e-06 // their sum is ln 2; products with the first are exact
	if !(x > -87 && x < 88) {
		return float32(math.Exp(float64(x)))
	}
	half := float32(0.5)
	if x < 0 {
		half = -half
	}
	n := int32(x*math.Log2E + half)
	r := x - float32(n)*ln2High - float32(n)*ln2Low
	s := r * r
	p := 1 + r + s*(1./2+r*(1./6)) + s*s*(1./24+r*(1./120)+s*(1./720))
	return p * math.Float32frombits(uint32(n+127)<<23)
}
