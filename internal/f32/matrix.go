package f32

import "gonum.org/v1/gonum/mat"

// Real is a number type of matrices: single or double precision.
type Real interface{ float32 | float64 }

// General is a row-major matrix. Row i begins at Data[i·Stride].
type General[T Real] struct {
	Rows, Cols int
	Stride     int
	Data       []T
}

// Matrix is a matrix in single precision; activations have a row per token.
type Matrix = General[float32]

// New returns a zero matrix, [rows × cols].
func New(rows, cols int) Matrix { return NewOf[float32](rows, cols) }

// NewOf is New in either precision.
func NewOf[T Real](rows, cols int) General[T] {
	return General[T]{Rows: rows, Cols: cols, Stride: cols, Data: make([]T, rows*cols)}
}

// Like returns a zero matrix of the size of m.
func (m General[T]) Like() General[T] { return NewOf[T](m.Rows, m.Cols) }

// Row returns row i, sharing its data.
func (m General[T]) Row(i int) []T { return m.Data[i*m.Stride : i*m.Stride+m.Cols] }

// Part returns the given number of rows and columns of m from row and col on, sharing
// its data.
func (m General[T]) Part(row, rows, col, cols int) General[T] {
	part := General[T]{Rows: rows, Cols: cols, Stride: m.Stride}
	if rows > 0 {
		part.Data = m.Data[row*m.Stride+col : (row+rows-1)*m.Stride+col+cols]
	}
	return part
}

// RowsFrom returns n rows of m from the given one on, sharing its data.
func (m General[T]) RowsFrom(row, n int) General[T] { return m.Part(row, n, 0, m.Cols) }

// ColumnsFrom returns n columns of m from the given one on, sharing its data.
func (m General[T]) ColumnsFrom(col, n int) General[T] { return m.Part(0, m.Rows, col, n) }

// Clone returns a copy of m that shares nothing with it.
func (m General[T]) Clone() General[T] {
	c := m.Like()
	c.CopyFrom(m)
	return c
}

// CopyFrom sets m to a, which has the same size.
func (m General[T]) CopyFrom(a General[T]) {
	for i := range m.Rows {
		copy(m.Row(i), a.Row(i))
	}
}

// Add adds a, which has the same size, to m.
func (m General[T]) Add(a General[T]) {
	for i := range m.Rows {
		to := m.Row(i)
		for j, v := range a.Row(i) {
			to[j] += v
		}
	}
}

// AddRow adds row, [m.Cols], to every row of m, multiplied by that row's factor, [m.Rows]. If
// factors is nil, all are 1.
func (m General[T]) AddRow(row, factors []T) {
	for i := range m.Rows {
		factor := T(1)
		if factors != nil {
			factor = factors[i]
		}
		to := m.Row(i)
		for j, v := range row {
			to[j] += factor * v
		}
	}
}

// Transpose returns mᵀ.
func (m General[T]) Transpose() General[T] {
	t := NewOf[T](m.Cols, m.Rows)
	for i := range m.Rows {
		for j, v := range m.Row(i) {
			t.Data[j*t.Stride+i] = v
		}
	}
	return t
}

// Beside returns the columns of a and then those of b, [a.Rows × a.Cols+b.Cols]. Both must
// have as many rows, unless b has no columns.
func Beside[T Real](a, b General[T]) General[T] {
	both := NewOf[T](a.Rows, a.Cols+b.Cols)
	both.ColumnsFrom(0, a.Cols).CopyFrom(a)
	if b.Cols > 0 {
		both.ColumnsFrom(a.Cols, b.Cols).CopyFrom(b)
	}
	return both
}

// Stack returns the rows of the parts, which have as many columns and one of which there must be,
// one below the other. A single part is returned as it is, sharing its data.
func Stack[T Real](parts []General[T]) General[T] {
	if len(parts) == 1 {
		return parts[0]
	}
	rows := 0
	for _, p := range parts {
		rows += p.Rows
	}
	all := NewOf[T](rows, parts[0].Cols)
	at := 0
	for _, p := range parts {
		all.RowsFrom(at, p.Rows).CopyFrom(p)
		at += p.Rows
	}
	return all
}

// From returns m in the given precision, or an empty matrix if m is nil.
func From[T Real](m *mat.Dense) General[T] {
	if m == nil {
		return General[T]{}
	}
	n, c := m.Dims()
	to := NewOf[T](n, c)
	for i := range n {
		convert(to.Row(i), m.RawRowView(i))
	}
	return to
}

// Dense returns m in double precision, or nil if m is empty. It is the inverse of From.
func (m General[T]) Dense() *mat.Dense {
	if m.Rows == 0 {
		return nil
	}
	to := mat.NewDense(m.Rows, m.Cols, nil)
	for i := range m.Rows {
		convert(to.RawRowView(i), m.Row(i))
	}
	return to
}

// SquaredNorm returns ‖m‖², summed in double precision in the order of the rows.
func (m General[T]) SquaredNorm() float64 {
	sum := 0.0
	for i := range m.Rows {
		for _, v := range m.Row(i) {
			sum += float64(v) * float64(v)
		}
	}
	return sum
}

// SquaredDistance returns ‖m − other‖², summed in double precision in the order of the rows.
// Both have the same shape.
func (m General[T]) SquaredDistance(other General[T]) float64 {
	sum := 0.0
	for i := range m.Rows {
		theirs := other.Row(i)
		for j, v := range m.Row(i) {
			d := float64(v) - float64(theirs[j])
			sum += d * d
		}
	}
	return sum
}

// Single returns v in single precision.
func Single(v []float64) []float32 {
	to := make([]float32, len(v))
	convert(to, v)
	return to
}

// Double returns v in double precision.
func Double(v []float32) []float64 {
	to := make([]float64, len(v))
	convert(to, v)
	return to
}

// convert copies from into to, in the precision of to.
func convert[A, B Real](to []A, from []B) {
	for i, v := range from {
		to[i] = A(v)
	}
}
