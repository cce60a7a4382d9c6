package fastblas

// part is the part of C that a product computes.
type part int

const (
	whole part = iota
	upper      // column ≥ row
	lower      // column ≤ row
)

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

// columns returns the columns from, …, to-1 of the block that are in the part
// in row i. Where there are none, from = to.
func (b block) columns(i int, p part) (from, to int) {
	from, to = b.col, b.colEnd
	switch p {
	case upper:
		from = min(max(from, i), to)
	case lower:
		to = max(min(to, i+1), from)
	}
	return from, to
}
