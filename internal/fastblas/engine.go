package fastblas

import "sync"

// engine computes products with a kernel.
type engine[T float] struct {
	kernel[T]
	workers *crew
	spare   sync.Pool // of *scratch[T]
}

// scratch is the memory of one goroutine: packed operands, and a tile to compute in where
// the block of C ends within one.
type scratch[T float] struct{ a, b, tile []T }

// multiply computes p. If k or alpha is zero, the result is beta·C.
func (e *engine[T]) multiply(p product[T]) {
	if p.k == 0 || p.alpha == 0 {
		p.scale()
		return
	}
	helpers := e.workers.enter(e.worth(p))
	blocks := e.split(p, helpers+1)
	e.workers.each(helpers, len(blocks), func(i int) { e.compute(p, blocks[i]) })
}

// compute sets one block of p. The depth of its steps through k depends on k
// alone, so that an element's sum does not depend on the block it is in.
func (e *engine[T]) compute(p product[T], at block) {
	s, _ := e.spare.Get().(*scratch[T])
	if s == nil {
		s = &scratch[T]{tile: make([]T, e.rows*e.cols)}
	}
	defer e.spare.Put(s)
	depth := ceil(p.k, ceil(p.k, e.depth))
	for col := at.col; col < at.colEnd; col += e.width {
		strip := block{at.row, at.rowEnd, col, min(col+e.width, at.colEnd)}
		for l := 0; l < p.k; l += depth {
			e.step(p, strip, l, min(depth, p.k-l), s)
		}
	}
}

// step adds to a block of C the products of the k columns of A and rows of B from l on. The
// first step scales C by beta.
func (e *engine[T]) step(p product[T], at block, l, k int, s *scratch[T]) {
	if l > 0 {
		p.beta = 1
	}
	s.b = resize(s.b, roundUp(at.colEnd-at.col, e.cols)*k)
	e.pack(s.b, p.b.transpose(), at.col, at.colEnd-at.col, l, k, e.cols)
	for row := at.row; row < at.rowEnd; row += e.height {
		part := block{row, min(row+e.height, at.rowEnd), at.col, at.colEnd}
		if part.misses(p.part) {
			continue
		}
		s.a = resize(s.a, roundUp(part.rowEnd-row, e.rows)*k)
		e.pack(s.a, p.a, row, part.rowEnd-row, l, k, e.rows)
		e.tiles(p, part, k, s)
	}
}

// tiles adds the product of the packed operands to a block of C.
func (e *engine[T]) tiles(p product[T], at block, k int, s *scratch[T]) {
	for col := at.col; col < at.colEnd; col += e.cols {
		b := &s.b[(col-at.col)*k]
		for row := at.row; row < at.rowEnd; row += e.rows {
			tile := block{row, row + e.rows, col, col + e.cols}
			if tile.misses(p.part) {
				continue
			}
			a := &s.a[(row-at.row)*k]
			if tile.rowEnd <= at.rowEnd && tile.colEnd <= at.colEnd && tile.inside(p.part) {
				e.run(k, a, b, p.alpha, p.beta, &p.c[row*p.ldc+col], p.ldc)
				continue
			}
			tile.rowEnd, tile.colEnd = min(tile.rowEnd, at.rowEnd), min(tile.colEnd, at.colEnd)
			e.partial(p, tile, k, a, b, s.tile)
		}
	}
}

// partial adds the product of packed operands to a part of a tile, by way of a whole tile, so
// that the arithmetic is the same everywhere.
func (e *engine[T]) partial(p product[T], at block, k int, a, b *T, tile []T) {
	row := func(i int) (inC, inTile []T) {
		from, to := at.columns(i, p.part)
		return p.c[i*p.ldc+from : i*p.ldc+to], tile[(i-at.row)*e.cols+from-at.col:]
	}
	for i := at.row; i < at.rowEnd && p.beta != 0; i++ {
		inC, inTile := row(i)
		copy(inTile, inC)
	}
	e.run(k, a, b, p.alpha, p.beta, &tile[0], e.cols)
	for i := at.row; i < at.rowEnd; i++ {
		inC, inTile := row(i)
		copy(inC, inTile)
	}
}

// resize returns a slice of n numbers of no particular value.
func resize[T float](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// ceil returns n/d rounded up.
func ceil(n, d int) int { return (n + d - 1) / d }

// roundUp returns the least multiple of d that is at least n.
func roundUp(n, d int) int { return ceil(n, d) * d }
