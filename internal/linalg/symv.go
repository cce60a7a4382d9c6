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
		var c4, s4 [4]float64
		var rows [4][]float64
		for i := range 4 {
			at := (r + i) * stride
			rows[i] = a[at+r+4 : at+m]
			c4[i] = across * c[r+i]
			symvRow(a[at+r+i:at+r+4], x[r+i:r+4], c4[i], down, y[r+i:r+4])
		}
		dotAdd4(&rows, x[r+4:], y[r+4:m], &c4, &s4)
		for i := range 4 {
			y[r+i] += down * s4[i]
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

// dotAdd4 sets dots[i] = rows[i]·x and adds Σ c[i]·rows[i] to y. All vectors have
// the length of x.
func dotAdd4(rows *[4][]float64, x, y []float64, c, dots *[4]float64) {
	n := len(x)
	a0, a1, a2, a3 := rows[0][:n], rows[1][:n], rows[2][:n], rows[3][:n]
	y = y[:n]
	c0, c1, c2, c3 := c[0], c[1], c[2], c[3]
	var s0, s1, s2, s3 float64
	for j, xj := range x {
		v0, v1, v2, v3 := a0[j], a1[j], a2[j], a3[j]
		s0 += v0 * xj
		s1 += v1 * xj
		s2 += v2 * xj
		s3 += v3 * xj
		y[j] += (v0*c0 + v1*c1) + (v2*c2 + v3*c3)
	}
	dots[0], dots[1], dots[2], dots[3] = s0, s1, s2, s3
}
