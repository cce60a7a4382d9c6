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
func (e *engine[T]) pack(dst []T, x operand[T], from, n, at, k, size int) {
	for i := 0; i < n; i += size {
		panel := dst[i*k : (i+size)*k]
		rows := min(size, n-i)
		if rows < size {
			clear(panel)
		}
		src := x.data[(from+i)*x.row+at*x.col:]
		if x.row == 1 {
			packColumns(panel, src, x.col, rows, k, size)
		} else {
			e.packRows(panel, src, x.row, rows, k, size)
		}
	}
}

// packColumns packs a panel whose columns are contiguous, step apart.
func packColumns[T float](panel, src []T, step, rows, k, size int) {
	for l := range k {
		copy(panel[l*size:l*size+rows], src[l*step:])
	}
}

// packRows packs a panel whose rows are contiguous, step apart.
func (e *engine[T]) packRows(panel, src []T, step, rows, k, size int) {
	i := 0
	for ; i+4 <= rows; i += 4 {
		from, to := src[i*step:i*step+3*step+k], panel[i:]
		if done := e.interleave(to, from, step, k, size); done < k {
			interleaveFour(to[done*size:], from[done:], step, k-done, size)
		}
	}
	for ; i < rows; i++ {
		for l, v := range src[i*step:][:k] {
			panel[l*size+i] = v
		}
	}
}

// interleaveFour interleaves in Go the columns that the kernel's interleave has left.
func interleaveFour[T float](panel, src []T, step, k, size int) {
	row1 := src[step:][:k]
	row2 := src[2*step:][:k]
	row3 := src[3*step:][:k]
	for l, v := range src[:k] {
		to := panel[l*size:]
		to = to[:4]
		to[0], to[1], to[2], to[3] = v, row1[l], row2[l], row3[l]
	}
}
