package linalg

import (
	"math"

	"gonum.org/v1/gonum/blas/blas64"
)

// skewProduct multiplies skew-symmetric matrices S of order up to n, of which only the
// upper triangle is stored, by vectors. It reads the triangle once: every element
// of it serves its own row as part of a dot product and its mirror image as part
// of a sum of rows, for two vectors, while it is in a register.
type skewProduct struct {
	bounds  []int     // rows of the chunks, bounds[c] … bounds[c+1]−1
	partial []float64 // two sums of rows per chunk
}

const (
	// skewChunk is the number of matrix elements that are worth a goroutine.
	skewChunk = 1 << 14
	// skewChunks is the largest number of chunks, and so of processors that are used.
	// It is bounded because every chunk costs two vectors to add up.
	skewChunks = 16
)

// newSkewProduct returns a skewProduct for matrices of order n at most.
func newSkewProduct(n int) *skewProduct {
	return &skewProduct{partial: make([]float64, 2*n*skewChunks), bounds: make([]int, 0, skewChunks+1)}
}

// split divides the rows of a triangle of order m into chunks of equal area. The chunks
// depend on m alone, so that the order of additions does too.
func (s *skewProduct) split(m int) {
	chunks := max(1, min(skewChunks, m*m/2/skewChunk))
	s.bounds = append(s.bounds[:0], 0)
	for c := 1; c < chunks; c++ {
		s.bounds = append(s.bounds, int(float64(m)*(1-math.Sqrt(1-float64(c)/float64(chunks)))))
	}
	s.bounds = append(s.bounds, m)
}

// addProducts adds −S·xIm to yRe and S·xRe to yIm: the imaginary part of a Hermitian
// matrix times x. S is [m × m], its upper triangle in the rows of a, which are
// stride apart.
func (s *skewProduct) addProducts(yRe, yIm, a []float64, stride int, xRe, xIm []float64) {
	m := len(xRe)
	s.split(m)
	sums := func(c int) (re, im []float64) {
		at := s.partial[2*c*m:]
		return at[:m], at[m : 2*m]
	}
	parallel(len(s.bounds)-1, func(c int) {
		re, im := sums(c)
		clear(re)
		clear(im)
		for r := s.bounds[c]; r < s.bounds[c+1]; r++ {
			skewRow(a[r*stride+r+1:r*stride+m], r, xRe, xIm, re, im)
		}
	})
	for c, from := range s.bounds[:len(s.bounds)-1] { // a chunk adds nothing above its first row
		re, im := sums(c)
		blas64.Axpy(1, vector(re[from:]), vector(yRe[from:]))
		blas64.Axpy(1, vector(im[from:]), vector(yIm[from:]))
	}
}

// skewRow adds the products of row r of S, and of its mirror image, to y. Row holds the
// elements of row r to the right of the diagonal.
func skewRow(row []float64, r int, xRe, xIm, yRe, yIm []float64) {
	ownRe, ownIm := xRe[r], xIm[r]
	dotRe, dotIm := 0.0, 0.0
	xRe, xIm, yRe, yIm, toRe, toIm := xRe[r+1:][:len(row)], xIm[r+1:][:len(row)], yRe[r+1:][:len(row)], yIm[r+1:][:len(row)], &yRe[r], &yIm[r]
	for j, v := range row {
		dotRe += v * xRe[j]
		dotIm += v * xIm[j]
		yRe[j] += v * ownIm
		yIm[j] -= v * ownRe
	}
	*toRe -= dotIm
	*toIm += dotRe
}
