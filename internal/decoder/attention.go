package decoder

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// grouped is the attention of LlamaForCausalLM.
type grouped struct {
	family.Shape
	norm       []float32
	q, k, v, o Matrix
	eps        float64
	frequency  []float64
	cached     func(Matrix)
}

func (r *layerReader) grouped() *grouped {
	return &grouped{
		Shape: r.Shape(),
		norm:  r.vector(family.InputNorm),
		q:     r.matrix(family.QProj), k: r.matrix(family.KProj), v: r.matrix(family.VProj), o: r.matrix(family.OProj),
		eps: r.NormEps, frequency: rope.Frequencies(r.RopeTheta, r.HeadDim), cached: r.cached(),
	}
}

// Attend is attention with RoPE on the halves of each head.
func (a *grouped) Attend(x Matrix) Matrix { return a.observe(x, Observer{}) }

// observe is Attend before the eyes of an observer.
func (a *grouped) observe(x Matrix, o Observer) Matrix {
	h := NewMatrix(x.Rows, x.Cols)
	rmsNorm(h, x, a.norm, a.eps)
	if o.Input != nil {
		o.Input(h)
	}
	q, k, v := project(h, a.q), project(h, a.k), project(h, a.v)
	turn := newRotation(a.frequency, x.Rows)
	J := a.HeadDim / 2
	for head := range a.Heads {
		turn.apply(q, head*a.HeadDim, 1, J)
	}
	for head := range a.KVHeads {
		turn.apply(k, head*a.HeadDim, 1, J)
		a.cached(columns(k, head*a.HeadDim, a.HeadDim))
		a.cached(columns(v, head*a.HeadDim, a.HeadDim))
	}
	if o.Rotary != nil {
		o.Rotary(q, k, a.HeadDim)
	}
	out := NewMatrix(x.Rows, a.Heads*a.HeadDim)
	scale := 1 / math.Sqrt(float64(a.HeadDim))
	for head := range a.Heads {
		at, kv := head*a.HeadDim, a.KVHead(head)*a.HeadDim
		values := columns(v, kv, a.HeadDim)
		attend(columns(out, at, a.HeadDim), columns(q, at, a.HeadDim), columns(k, kv, a.HeadDim), values, scale, func(from int, p Matrix) {
			if o.Head != nil {
				o.Head(head, from, p, values)
			}
		})
	}
	return project(out, a.o)
}

// latent is the attention of DeepseekV3ForCausalLM.
type latent struct {
	family.MLA
	heads       int
	norm        []float32
	q           Matrix // of the whole query, or of its up-projection
	qA          Matrix
	qNorm       []float32
	kvA, kvB, o Matrix
	kvNorm      []float32
	eps         float64
	frequency   []float64
	cached      func(Matrix)
}

func (r *layerReader) latent() *latent {
	a := &latent{
		MLA: *r.MLA, heads: r.Heads,
		norm: r.vector(family.InputNorm),
		kvA:  r.matrix(family.KVAProj), kvB: r.matrix(family.KVBProj), o: r.matrix(family.OProj),
		kvNorm: r.vector(family.KVANorm),
		eps:    r.NormEps, frequency: rope.Frequencies(r.RopeTheta, r.MLA.RopeDim), cached: r.cached(),
	}
	if a.QLoraRank == 0 {
		a.q = r.matrix(family.QProj)
	} else {
		a.qA, a.qNorm, a.q = r.matrix(family.QAProj), r.vector(family.QANorm), r.matrix(family.QBProj)
	}
	return a
}

// Attend is attention on keys and values projected up from the latent, with
// RoPE on interleaved pairs of one rotary key.
func (a *latent) Attend(x Matrix) Matrix {
	h := NewMatrix(x.Rows, x.Cols)
	rmsNorm(h, x, a.norm, a.eps)
	q := a.query(h)
	kvA := project(h, a.kvA)
	c := columns(kvA, 0, a.KVLoraRank)
	rmsNorm(c, c, a.kvNorm, a.LatentEps)
	turn := newRotation(a.frequency, x.Rows)
	turn.apply(kvA, a.KVLoraRank, 2, 1)
	a.cached(c)
	a.cached(columns(kvA, a.KVLoraRank, a.RopeDim))
	kv := project(c, a.kvB)

	width, kvWidth := a.NopeDim+a.RopeDim, a.NopeDim+a.ValueDim
	key := NewMatrix(x.Rows, width)
	out := NewMatrix(x.Rows, a.heads*a.ValueDim)
	scale := 1 / math.Sqrt(float64(width))
	for head := range a.heads {
		turn.apply(q, head*width+a.NopeDim, 2, 1)
		for t := range x.Rows {
			row := key.Data[t*width : (t+1)*width]
			copy(row, kv.Data[t*kv.Stride+head*kvWidth:][:a.NopeDim])
			copy(row[a.NopeDim:], kvA.Data[t*kvA.Stride+a.KVLoraRank:][:a.RopeDim])
		}
		attend(columns(out, head*a.ValueDim, a.ValueDim), columns(q, head*width, width), key, columns(kv, head*kvWidth+a.NopeDim, a.ValueDim), scale, nil)
	}
	return project(out, a.o)
}

func (a *latent) query(h Matrix) Matrix {
	if a.QLoraRank == 0 {
		return project(h, a.q)
	}
	compressed := project(h, a.qA)
	rmsNorm(compressed, compressed, a.qNorm, a.LatentEps)
	return project(compressed, a.q)
}

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
	r := &rotation{len(frequency), make([]float32, positions*len(frequency)), make([]float32, positions*len(frequency))}
	for t := range positions {
		for i, omega := range frequency {
			sin, cos := math.Sincos(omega * float64(t))
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
// long, and not along the head, which may be short. Seen, if not nil, is shown
// the probabilities of the queries from the given one on.
func attend(out, q, k, v Matrix, scale float64, seen func(from int, probabilities Matrix)) {
	keys, values := transpose(k), transpose(v)
	for from := 0; from < q.Rows; from += queriesAtOnce {
		to := min(from+queriesAtOnce, q.Rows)
		scores := NewMatrix(to-from, to)
		blas32.Gemm(blas.NoTrans, blas.NoTrans, float32(scale), rows(q, from, to), columns(keys, 0, to), 0, scores)
		for i := range scores.Rows {
			row := scores.Data[i*to : (i+1)*to]
			softmax(row[:from+i+1])
			clear(row[from+i+1:])
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
