package linalg

import (
	"math"

	"gonum.org/v1/gonum/blas/blas64"
)

// symv multiplies symmetric matrices of order up to n, of which only the upper
// triangle is stored, by vectors. It reads the triangle once: every element of it
// serves its own row as part of a dot product and its mirror image as part of a
// sum of rows, while it is in a register. Half of a tridiagonalisation's
// arithmetic is done here, at the speed of memory.
type symv struct {
	bounds  []int     // rows of the chunks, bounds[c] … bounds[c+1]−1
	partial []float64 // one sum of rows per chunk
	n       int
}

const (
	// symvChunk is the number of matrix elements worth a goroutine of their own.
	symvChunk = 1 << 15
	// symvChunks is the largest number of chunks, and with it of processors used:
	// every chunk costs a vector to add up.
	symvChunks = 16
)

func newSymv(n int) *symv {
	return &symv{n: n, partial: make([]float64, n*symvChunks), bounds: make([]int, 0, symvChunks+1)}
}

// split divides the rows of a triangle of order m into chunks of equal area. They
// depend on m alone, so that the order of additions does too.
func (s *symv) split(m int) {
	chunks := max(1, min(symvChunks, m*m/2/symvChunk))
	s.bounds = append(s.bounds[:0], 0)
	for c := 1; c < chunks; c++ {
		row := int(float64(m) * (1 - math.Sqrt(1-float64(c)/float64(chunks))))
		s.bounds = append(s.bounds, row&^3)
	}
	s.bounds = append(s.bounds, m)
}

// multiply sets y = A·x. A is [m × m], its upper triangle in the rows of a, which
// are stride apart.
func (s *symv) multiply(y, a []float64, stride int, x []float64) {
	s.each(len(x), [][]float64{y}, func(from, to int, sum [][]float64) {
		symvRows(a, stride, from, to, x, x, 1, 1, sum[0])
	})
}

// each calls f for chunks of the rows of a triangle of order m, in parallel, and
// sets out to the sum, in a fixed order, of what they add to zero vectors of
// length m.
func (s *symv) each(m int, out [][]float64, f func(from, to int, sum [][]float64)) {
	s.split(m)
	chunks := len(s.bounds) - 1
	if need := chunks * len(out) * m; need > len(s.partial) {
		s.partial = make([]float64, need)
	}
	vectorOf := func(c, v int) []float64 {
		at := (c*len(out) + v) * m
		return s.partial[at : at+m]
	}
	parallel(chunks, func(c int) {
		sum := make([][]float64, len(out))
		for v := range sum {
			if sum[v] = out[v]; c > 0 {
				sum[v] = vectorOf(c, v)
			}
			clear(sum[v])
		}
		f(s.bounds[c], s.bounds[c+1], sum)
	})
	for c := 1; c < chunks; c++ {
		for v, y := range out { // a chunk adds nothing above its first row
			from := s.bounds[c]
			blas64.Axpy(1, vector(vectorOf(c, v)[from:]), vector(y[from:]))
		}
	}
}

// symvRows adds to y what rows from … to−1 of an upper triangle U, without the
// part on and left of the diagonal counted twice, contribute to
//
//	down·U·x + across·(U − diag U)ᵀ·c.
//
// With down and across 1 and c = x that is the symmetric product, and with
// opposite signs the product of a skew matrix.
func symvRows(a []float64, stride, from, to int, x, c []float64, down, across float64, y []float64) {
	m := len(x)
	r := from
	for ; r+4 <= to; r += 4 {
		var factors, dots [4]float64
		for i := range 4 {
			at := (r + i) * stride
			factors[i] = across * c[r+i]
			symvRow(a[at+r+i:at+r+4], x[r+i:r+4], factors[i], down, y[r+i:r+4])
		}
		if r+4 < m {
			dotAdd4(a[r*stride+r+4:], stride, x[r+4:], y[r+4:m], &factors, &dots)
		}
		for i, dot := range dots {
			y[r+i] += down * dot
		}
	}
	for ; r < to; r++ {
		symvRow(a[r*stride+r:r*stride+m], x[r:], across*c[r], down, y[r:m])
	}
}

// symvRow is one row of symvRows, from the diagonal on.
func symvRow(row, x []float64, c, down float64, y []float64) {
	sum := row[0] * x[0]
	for j := 1; j < len(row); j++ {
		sum += row[j] * x[j]
		y[j] += row[j] * c
	}
	y[0] += down * sum
}

// dotAdd4 takes four rows of a, stride apart and of the length of x: it sets dots
// to their products with x, and adds their sum with the given factors to y.
func dotAdd4(a []float64, stride int, x, y []float64, factors, dots *[4]float64) {
	n := len(x)
	a0, a1, a2, a3 := a[:n], a[stride:][:n], a[2*stride:][:n], a[3*stride:][:n]
	y = y[:n]
	f0, f1, f2, f3 := factors[0], factors[1], factors[2], factors[3]
	var d0, d1, d2, d3 float64
	for j, xj := range x {
		v0, v1, v2, v3 := a0[j], a1[j], a2[j], a3[j]
		d0 += v0 * xj
		d1 += v1 * xj
		d2 += v2 * xj
		d3 += v3 * xj
		y[j] += (v0*f0 + v1*f1) + (v2*f2 + v3*f3)
	}
	dots[0], dots[1], dots[2], dots[3] = d0, d1, d2, d3
}
