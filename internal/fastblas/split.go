package fastblas

// worth returns how many helpers p can use: each is to have work that takes
// longer than waking it.
func (e *engine[T]) worth(p product[T]) int {
	const operations = 1 << 22
	return int(min(float64(p.m)*float64(p.n)*float64(p.k)/operations, 1<<10))
}

// split cuts C into blocks for a number of workers: one block for one, and
// otherwise a few for each, since they do not all get the same time. Every cut
// costs a second packing of what it divides; nearly square blocks cost least.
func (e *engine[T]) split(p product[T], workers int) []block {
	rows, cols := 1, 1
	wanted := 2 * workers
	if p.part != whole {
		wanted *= 2 // nearly half of them miss
	}
	for workers > 1 && rows*cols < wanted {
		height, width := p.m/(rows+1), p.n/(cols+1)
		switch {
		case height >= width && height >= 2*e.rows:
			rows++
		case width >= 2*e.cols:
			cols++
		case height >= 2*e.rows:
			rows++
		default:
			wanted = 0
		}
	}
	height, width := roundUp(ceil(p.m, rows), e.rows), roundUp(ceil(p.n, cols), e.cols)
	var blocks []block
	for i := 0; i < p.m; i += height {
		for j := 0; j < p.n; j += width {
			b := block{i, min(i+height, p.m), j, min(j+width, p.n)}
			if !b.misses(p.part) {
				blocks = append(blocks, b)
			}
		}
	}
	return blocks
}
