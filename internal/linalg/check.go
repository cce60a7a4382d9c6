package linalg

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// original is a symmetric matrix, kept for the check of its eigenvectors in the half
// of its storage that the reduction of the other half leaves alone.
type original struct {
	a        blas64.Symmetric // upper triangle in use, lower triangle the original
	diagonal []float64
	trace    float64
	square   float64 // ‖A‖²_F
}

// mirror copies the upper triangle of a below the diagonal, to be the original.
func mirror(a blas64.Symmetric) *original {
	o := &original{a: a, diagonal: make([]float64, a.N)}
	for i := range o.diagonal {
		o.diagonal[i] = a.Data[i*a.Stride+i]
		o.trace += o.diagonal[i]
	}
	const block = 64 // a tile and its mirror image fit into the first-level cache
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

// addProduct adds A·x to y, where elements of A above the diagonal count upper times
// and those below lower times.
func (o *original) addProduct(y, x []float64, upper, lower float64) {
	for i, v := range x {
		row := vector(o.a.Data[i*o.a.Stride : i*o.a.Stride+i])
		y[i] += o.diagonal[i]*v + lower*blas64.Dot(row, vector(x[:i]))
		blas64.Axpy(upper*v, row, vector(y[:i]))
	}
}

// tolerance returns a bound on errors, relative to the norm of a matrix of order n,
// that backward stable algorithms stay far below: measured errors are a twentieth of
// n·eps.
func tolerance(n int) float64 { return 16 * float64(n) * unitRoundoff }

// confirmsValues reports whether the sum of the values, and that of their
// squares, are those of the matrix.
func (o *original) confirmsValues(values []float64) bool {
	return confirmsValues(values, o.trace, o.square)
}

// confirmsValues is the method of the same name for a matrix of the given trace and
// squared Frobenius norm.
func confirmsValues(values []float64, trace, square float64) bool {
	norm, limit := math.Sqrt(square), tolerance(len(values))
	for _, v := range values {
		trace -= v
		square -= v * v
	}
	return math.Abs(trace) <= limit*norm*math.Sqrt(float64(len(values))) &&
		math.Abs(square) <= 2*limit*norm*norm
}

// confirms reports whether the columns of z, [n × k], which are vectors of the first k
// of the values, satisfy
//
//	ZᵀZ·g = g   and   A·Z·g = Z·Λ·g
//
// for a vector g of random signs. An error of Z shows there almost surely, at the cost
// of a few matrix-vector products. The values have to pass confirmsValues too.
func (o *original) confirms(values []float64, z blas64.General) bool {
	p := newProbe(values, z.Cols)
	zg, az := times(z, p.g), make([]float64, z.Rows)
	o.addProduct(az, zg, 1, 1)
	limit := tolerance(z.Rows) * math.Sqrt(float64(z.Cols))
	return o.confirmsValues(values) &&
		distance(transposeTimes(z, zg), p.g) <= limit &&
		distance(az, times(z, p.scaled)) <= limit*math.Sqrt(o.square)
}

// originalHermitian is original for a complex matrix, in its real and imaginary
// parts.
type originalHermitian struct{ re, im *original }

// confirms is original.confirms for z = [Re Z, Im Z], [n × 2k].
func (o originalHermitian) confirms(values []float64, z blas64.General) bool {
	n, k := z.Rows, z.Cols/2
	re, im := general(n, k, z.Stride, z.Data), general(n, k, z.Stride, z.Data[k:])
	p := newProbe(values, k)
	zRe, zIm := times(re, p.g), times(im, p.g)
	azRe, azIm := make([]float64, n), make([]float64, n)
	o.re.addProduct(azRe, zRe, 1, 1)
	o.im.addProduct(azRe, zIm, -1, 1)
	o.re.addProduct(azIm, zIm, 1, 1)
	o.im.addProduct(azIm, zRe, 1, -1)
	square := o.re.square + o.im.square
	limit := tolerance(n) * math.Sqrt(float64(k))
	backRe, backIm := transposeTimes(re, zRe), transposeTimes(re, zIm)
	blas64.Axpy(1, vector(transposeTimes(im, zIm)), vector(backRe))
	blas64.Axpy(-1, vector(transposeTimes(im, zRe)), vector(backIm))
	return confirmsValues(values, o.re.trace, square) &&
		distance(backRe, p.g) <= limit && blas64.Nrm2(vector(backIm)) <= limit &&
		distance(azRe, times(re, p.scaled)) <= limit*math.Sqrt(square) &&
		distance(azIm, times(im, p.scaled)) <= limit*math.Sqrt(square)
}

// probe is a vector g of random signs, the same every time, and Λ·g.
type probe struct{ g, scaled []float64 }

// newProbe returns a probe of k elements for the first k of the values.
func newProbe(values []float64, k int) probe {
	rng := rand.New(rand.NewPCG(1, 2))
	p := probe{make([]float64, k), make([]float64, k)}
	for i := range k {
		p.g[i] = float64(int(rng.Uint64()&1)*2 - 1)
		p.scaled[i] = values[i] * p.g[i]
	}
	return p
}

// times returns z·x.
func times(z blas64.General, x []float64) []float64 {
	y := make([]float64, z.Rows)
	blas64.Gemv(blas.NoTrans, 1, z, vector(x), 0, vector(y))
	return y
}

// transposeTimes returns zᵀ·x.
func transposeTimes(z blas64.General, x []float64) []float64 {
	y := make([]float64, z.Cols)
	blas64.Gemv(blas.Trans, 1, z, vector(x), 0, vector(y))
	return y
}

// distance returns ‖x − y‖, or NaN if either holds one.
func distance(x, y []float64) float64 {
	sum := 0.0
	for i, v := range x {
		sum += (v - y[i]) * (v - y[i])
	}
	return math.Sqrt(sum)
}
