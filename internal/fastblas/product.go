package fastblas

import "sync"

// part is the part of C that a product computes.
type part int

const (
	whole part = iota
	upper      // column ≥ row
	lower      // column ≤ row
)

// product is the task of setting a part of C, [m × n] of row stride ldc, to
// alpha·A·B + beta·C, with A [m × k] and B [k × n].
type product[T float] struct {
	m, n, k     int
	alpha, beta T
	a, b        operand[T]
	c           []T
	ldc         int
	part        part
}

// engine computes products with a kernel.
type engine[T float] struct {
	kernel[T]
	workers *crew
	spare   sync.Pool // of *scratch[T]
}

// scratch is the memory of one goroutine: packed operands, and a tile to stand
// in where C has none of full size.
type scratch[T float] struct{ a, b, tile []T }

// multiply computes p. With k or alpha zero, that is beta·C.
func (e *engine[T]) multiply(p product[T]) {
	if p.k == 0 || p.alpha == 0 {
		p.scale()
		return
	}
	helpers := e.workers.enter(e.worth(p))
	blocks := e.split(p, helpers+1)
	e.workers.each(helpers, len(blocks), func(i int) { e.block(p, blocks[i]) })
}

// scale sets C to beta·C.
func (p product[T]) scale() {
	if p.beta == 1 {
		return
	}
	for i := range p.m {
		from, to := 0, p.n
		switch p.part {
		case upper:
			from = i
		case lower:
			to = i + 1
		}
		row := p.c[i*p.ldc+from : i*p.ldc+to]
		if p.beta == 0 {
			clear(row)
			continue
		}
		for j := range row {
			row[j] *= p.beta
		}
	}
}

// block is a range of rows and columns of C.
type block struct{ row, rowEnd, col, colEnd int }

// misses reports whether no element of the block is in the part.
func (b block) misses(p part) bool {
	return p == upper && b.colEnd <= b.row || p == lower && b.col >= b.rowEnd
}

// inside reports whether every element of the block is in the part.
func (b block) inside(p part) bool {
	return p == whole || p == upper && b.col >= b.rowEnd-1 || p == lower && b.colEnd-1 <= b.row
}

// block computes one block of p. The depth of its steps through k depends on k
// alone, so that an element's sum does not depend on the block it is in.
func (e *engine[T]) block(p product[T], at block) {
	s, _ := e.spare.Get().(*scratch[T])
	if s == nil {
		s = &scratch[T]{tile: make([]T, e.rows*e.cols)}
	}
	defer e.spare.Put(s)
	depth := ceil(p.k, ceil(p.k, e.depth))
	for col := at.col; col < at.colEnd; col += e.width {
		colEnd := min(col+e.width, at.colEnd)
		for l := 0; l < p.k; l += depth {
			k := min(depth, p.k-l)
			s.b = resize(s.b, roundUp(colEnd-col, e.cols)*k)
			e.pack(s.b, p.b.transpose(), col, colEnd-col, l, k, e.cols)
			for row := at.row; row < at.rowEnd; row += e.height {
				part := block{row, min(row+e.height, at.rowEnd), col, colEnd}
				if part.misses(p.part) {
					continue
				}
				s.a = resize(s.a, roundUp(part.rowEnd-row, e.rows)*k)
				e.pack(s.a, p.a, row, part.rowEnd-row, l, k, e.rows)
				e.tiles(p, part, l, k, s)
			}
		}
	}
}

// tiles adds to a block of C the product of the packed operands, which are the
// k steps from l.
func (e *engine[T]) tiles(p product[T], at block, l, k int, s *scratch[T]) {
	beta := p.beta
	if l > 0 {
		beta = 1
	}
	for col := at.col; col < at.colEnd; col += e.cols {
		b := &s.b[(col-at.col)*k]
		for row := at.row; row < at.rowEnd; row += e.rows {
			tile := block{row, row + e.rows, col, col + e.cols}
			if tile.misses(p.part) {
				continue
			}
			a := &s.a[(row-at.row)*k]
			if tile.rowEnd <= at.rowEnd && tile.colEnd <= at.colEnd && tile.inside(p.part) {
				e.run(k, a, b, p.alpha, beta, &p.c[row*p.ldc+col], p.ldc)
				continue
			}
			tile.rowEnd, tile.colEnd = min(tile.rowEnd, at.rowEnd), min(tile.colEnd, at.colEnd)
			p.exchange(tile, s.tile, e.cols, beta != 0, false)
			e.run(k, a, b, p.alpha, beta, &s.tile[0], e.cols)
			p.exchange(tile, s.tile, e.cols, true, true)
		}
	}
}

// exchange copies what C has of a tile, which is not all of it, to a stand-in,
// or back.
func (p product[T]) exchange(at block, tile []T, cols int, wanted, back bool) {
	if !wanted {
		return
	}
	for i := at.row; i < at.rowEnd; i++ {
		from, to := at.col, at.colEnd
		switch p.part {
		case upper:
			from = max(from, i)
		case lower:
			to = min(to, i+1)
		}
		if from >= to {
			continue
		}
		outside := p.c[i*p.ldc+from : i*p.ldc+to]
		inside := tile[(i-at.row)*cols+from-at.col:][:to-from]
		if back {
			copy(outside, inside)
		} else {
			copy(inside, outside)
		}
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
