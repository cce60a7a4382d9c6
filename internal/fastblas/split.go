package fastblas

// worth returns how many helpers p can use. Each must have work that takes longer than
// waking it.
func (e *engine[T]) worth(p product[T]) int {
	const operations = 1 << 22
	return int(min(float64(p.m)*float64(p.n)*float64(p.k)/operations, 1<<10))
}

// split cuts C into blocks for a number of workers: one block for one, and
// otherwise a few for each, since they do not all get the same time.
func (e *engine[T]) split(p product[T], workers int) []block {
	rows, cols := 1, 1
	switch {
	case workers == 1:
	case p.part == whole:
		rows, cols = e.grid(p, 2*workers)
	default:
		for rows*(rows+1)/2 < 4*workers && p.m >= 2*e.cols*(rows+1) {
			rows++
		}
		cols = rows
	}
	height, width := roundUp(ceil(p.m, rows), e.rows), roundUp(ceil(p.n, cols), e.cols)
	var full, cut []block // the larger work first
	for i := 0; i < p.m; i += height {
		for j := 0; j < p.n; j += width {
			switch b := (block{i, min(i+height, p.m), j, min(j+width, p.n)}); {
			case b.inside(p.part):
				full = append(full, b)
			case !b.misses(p.part):
				cut = append(cut, b)
			}
		}
	}
	return append(full, cut...)
}

// grid cuts a whole C into a number of blocks or more, unless they get too
// small. Every cut costs a second packing of what it divides; nearly square
// blocks cost least.
func (e *engine[T]) grid(p product[T], wanted int) (rows, cols int) {
	rows, cols = 1, 1
	for rows*cols < wanted {
		height, width := p.m/(rows+1), p.n/(cols+1)
		switch {
		case height >= 2*e.rows && (height >= width || width < 2*e.cols):
			rows++
		case width >= 2*e.cols:
			cols++
		default:
			return rows, cols
		}
	}
	return rows, cols
}
