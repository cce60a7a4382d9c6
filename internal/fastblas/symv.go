package fastblas

import (
	"math"

	"gonum.org/v1/gonum/blas"
)

// Dsymv computes y = alpha·A·x + beta·y, with A [n × n] symmetric and one of
// its triangles given. It panics where gonum's does.
func (f implementation) Dsymv(ul blas.Uplo, n int, alpha float64, a []float64, lda int, x []float64, incX int, beta float64, y []float64, incY int) {
	const worth = 64
	if n < worth || alpha == 0 || f.symv == nil {
		f.reference.Dsymv(ul, n, alpha, a, lda, x, incX, beta, y, incY)
		return
	}
	// With these factors the reference checks the arguments and returns.
	f.reference.Dsymv(ul, n, 0, a, lda, x, incX, 1, y, incY)
	s := symv{run: f.symv, triangle: triangle(ul), n: n, a: a, lda: lda, x: x}
	if incX != 1 {
		s.x = make([]float64, n)
		for i := range s.x {
			s.x[i] = x[strided(i, n, incX)]
		}
	}
	for i, v := range s.product(f.double.workers) {
		at := strided(i, n, incY)
		if beta == 0 {
			y[at] = alpha * v
		} else {
			y[at] = beta*y[at] + alpha*v
		}
	}
}

// strided returns where element i of a vector of length n lies. A vector of negative step
// begins at its end.
func strided(i, n, step int) int {
	if step < 0 {
		i = i - n + 1
	}
	return i * step
}

// symvRows does the work of four rows of A in the rectangle beside the
// diagonal, for as many columns of x as suits it, which it returns: it adds
// factorsᵀ·A to y and sets sums to A·x.
type symvRows func(a []float64, step int, x, y []float64, factors, sums *[4]float64) int

// symv is the product of a symmetric matrix and a vector.
type symv struct {
	run      symvRows
	triangle part
	n        int
	a        []float64
	lda      int
	x        []float64
}

// product returns A·x. It cuts A into parts by n alone, and each part has a separate sum, so
// that the result does not depend on which goroutine computes a part.
func (s symv) product(workers *crew) []float64 {
	const worth = 1024
	if s.n < worth {
		y := make([]float64, s.n)
		s.rows(0, s.n, y)
		return y
	}
	const parts = 8
	var sums [parts][]float64
	helpers := workers.enter(parts - 1)
	workers.each(helpers, parts, func(i int) {
		sums[i] = make([]float64, s.n)
		s.rows(s.cut(i, parts), s.cut(i+1, parts), sums[i])
	})
	for _, other := range sums[1:] {
		for i, v := range other {
			sums[0][i] += v
		}
	}
	return sums[0]
}

// cut returns the row where part i begins. The parts hold equally much of the triangle, in
// groups of four rows.
func (s symv) cut(i, parts int) int {
	share := float64(i) / float64(parts)
	switch {
	case i == parts:
		return s.n
	case s.triangle == lower:
		return int(float64(s.n)*math.Sqrt(share)) &^ 3
	default:
		return int(float64(s.n)*(1-math.Sqrt(1-share))) &^ 3
	}
}

// rows adds the products with the rows from, …, to-1 of the triangle to y.
func (s symv) rows(from, to int, y []float64) {
	var f fourRows
	for i := from; i < to; i += 4 {
		end := min(i+4, to)
		s.diagonal(i, end, y)
		left, right := 0, i
		if s.triangle == upper {
			left, right = end, s.n
		}
		if end-i == 4 {
			left += s.four(&f, i, left, right, y)
		}
		for ; left < right; left++ {
			for r := i; r < end; r++ {
				v := s.a[r*s.lda+left]
				y[r] += v * s.x[left]
				y[left] += v * s.x[r]
			}
		}
	}
}

// diagonal adds the products with the square on the diagonal that the rows from, …, to-1
// have to y.
func (s symv) diagonal(from, to int, y []float64) {
	for i := from; i < to; i++ {
		y[i] += s.a[i*s.lda+i] * s.x[i]
		for j := i + 1; j < to; j++ {
			v := s.a[i*s.lda+j]
			if s.triangle == lower {
				v = s.a[j*s.lda+i]
			}
			y[i] += v * s.x[j]
			y[j] += v * s.x[i]
		}
	}
}

// fourRows holds the arguments and the results of a kernel for four rows.
type fourRows struct{ factors, sums [4]float64 }

// four adds the products with the first of the columns left, …, right-1 of four rows, as many
// as the kernel takes, and returns how many columns these are.
func (s symv) four(f *fourRows, row, left, right int, y []float64) int {
	if right-left < 4 {
		return 0
	}
	f.factors = [4]float64(s.x[row : row+4])
	a := s.a[row*s.lda+left : (row+3)*s.lda+right]
	done := s.run(a, s.lda, s.x[left:right], y[left:right], &f.factors, &f.sums)
	for i, v := range f.sums {
		y[row+i] += v
	}
	return done
}
