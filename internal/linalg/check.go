package linalg

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// original is a symmetric matrix kept for later in the half of its storage that
// the reduction of the other half leaves alone.
type original struct {
	a        blas64.Symmetric // upper triangle in use, lower triangle the original
	diagonal []float64
	trace    float64
	square   float64 // ‖A‖²_F
}

// mirror copies the upper triangle of a below the diagonal.
func mirror(a blas64.Symmetric) *original {
	o := &original{a: a, diagonal: make([]float64, a.N)}
	for i := range o.diagonal {
		o.diagonal[i] = a.Data[i*a.Stride+i]
		o.trace += o.diagonal[i]
	}
	const block = 64 // of the cache lines of which both sides fit the first cache
	tiles := (a.N + block - 1) / block
	squares := make([]float64, tiles)
	parallel(tiles, func(tile int) {
		for top := 0; top <= tile*block; top += block {
			for i := top; i < top+block && i < a.N; i++ {
				for j := max(i+1, tile*block); j < min(a.N, (tile+1)*block); j++ {
					v := a.Data[i*a.Stride+j]
					a.Data[j*a.Stride+i] = v
					squares[tile] += 2 * v * v
				}
			}
		}
	})
	for _, v := range squares {
		o.square += v
	}
	o.square += blas64.Dot(vector(o.diagonal), vector(o.diagonal))
	return o
}

// restore writes the original back into the upper triangle.
func (o *original) restore() {
	for i := range o.a.N {
		o.a.Data[i*o.a.Stride+i] = o.diagonal[i]
		for j := range i {
			o.a.Data[j*o.a.Stride+i] = o.a.Data[i*o.a.Stride+j]
		}
	}
}

// multiply returns A·x.
func (o *original) multiply(x []float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		row := vector(o.a.Data[i*o.a.Stride : i*o.a.Stride+i])
		y[i] += o.diagonal[i]*v + blas64.Dot(row, vector(x[:i]))
		blas64.Axpy(v, row, vector(y[:i]))
	}
	return y
}

// tolerance is what backward stable algorithms stay far below: their errors grow
// with less than the order n, relative to the norm.
func tolerance(n int) float64 { return 100 * float64(n) * unitRoundoff }

// confirmsValues reports whether the sum of the values, and that of their
// squares, are those of the matrix.
func (o *original) confirmsValues(values []float64) bool {
	trace, square := 0.0, 0.0
	for _, v := range values {
		trace += v
		square += v * v
	}
	limit := tolerance(len(values)) * math.Sqrt(o.square)
	return math.Abs(trace-o.trace) <= limit*math.Sqrt(float64(len(values))) &&
		math.Abs(square-o.square) <= 2*limit*math.Sqrt(o.square)
}

// confirms reports whether the columns z of vectors, for the first of the values,
// satisfy
//
//	ZᵀZ·g = g   and   A·Z·g = Z·Λ·g
//
// for a vector of random signs g: what is wrong with Z shows in that with all but
// certainty, at the cost of a few matrix-vector products. Values have to pass
// confirmsValues too.
func (o *original) confirms(values []float64, z blas64.General) bool {
	if !o.confirmsValues(values) {
		return false
	}
	g := signs(z.Cols)
	scaled := make([]float64, z.Cols)
	for i := range g {
		scaled[i] = values[i] * g[i]
	}
	zg, want, back := make([]float64, z.Rows), make([]float64, z.Rows), make([]float64, z.Cols)
	blas64.Gemv(blas.NoTrans, 1, z, vector(g), 0, vector(zg))
	blas64.Gemv(blas.NoTrans, 1, z, vector(scaled), 0, vector(want))
	blas64.Gemv(blas.Trans, 1, z, vector(zg), 0, vector(back))
	limit := tolerance(z.Rows) * math.Sqrt(float64(z.Cols))
	return distance(back, g) <= limit && distance(o.multiply(zg), want) <= limit*math.Sqrt(o.square)
}

// signs returns the same n random signs every time.
func signs(n int) []float64 {
	rng := rand.New(rand.NewPCG(1, 2))
	g := make([]float64, n)
	for i := range g {
		g[i] = float64(int(rng.Uint64()&1)*2 - 1)
	}
	return g
}

// distance returns ‖x − y‖; NaN if either holds one.
func distance(x, y []float64) float64 {
	sum := 0.0
	for i, v := range x {
		sum += (v - y[i]) * (v - y[i])
	}
	return math.Sqrt(sum)
}
