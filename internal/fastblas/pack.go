package fastblas

// operand is a matrix to be read: element (i, j) is data[i·row + j·col], and
// one of the two steps is 1.
type operand[T float] struct {
	data     []T
	row, col int
}

// view is the matrix of row stride ld, or its transpose.
func view[T float](data []T, ld int, transposed bool) operand[T] {
	if transposed {
		return operand[T]{data, 1, ld}
	}
	return operand[T]{data, ld, 1}
}

func (x operand[T]) transpose() operand[T] { return operand[T]{x.data, x.col, x.row} }

// pack copies the rows from, …, from+n-1 of the columns at, …, at+k-1 of x into
// dst, as panels of size rows each: panel p is [k][size]. What a last panel
// lacks is zero. Columns of a right operand are packed as rows of its
// transpose.
func (x operand[T]) pack(dst []T, from, n, at, k, size int) {
	for i := 0; i < n; i += size {
		panel := dst[i*k : (i+size)*k]
		rows := min(size, n-i)
		if rows < size {
			clear(panel)
		}
		src := x.data[(from+i)*x.row+at*x.col:]
		if x.row == 1 {
			copyColumns(panel, src, x.col, rows, k, size)
		} else {
			interleaveRows(panel, src, x.row, rows, k, size)
		}
	}
}

// copyColumns packs a panel whose columns lie at multiples of step.
func copyColumns[T float](panel, src []T, step, rows, k, size int) {
	for l := range k {
		copy(panel[l*size:l*size+rows], src[l*step:])
	}
}

// interleaveRows packs a panel whose rows lie at multiples of step.
func interleaveRows[T float](panel, src []T, step, rows, k, size int) {
	i := 0
	for ; i+4 <= rows; i += 4 {
		row0 := src[i*step:][:k]
		row1 := src[(i+1)*step:][:k]
		row2 := src[(i+2)*step:][:k]
		row3 := src[(i+3)*step:][:k]
		to := panel[i:]
		for l, v := range row0 {
			at := to[l*size:]
			at = at[:4]
			at[0], at[1], at[2], at[3] = v, row1[l], row2[l], row3[l]
		}
	}
	for ; i < rows; i++ {
		for l, v := range src[i*step:][:k] {
			panel[l*size+i] = v
		}
	}
}
