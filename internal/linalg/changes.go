package linalg

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// changes are the vectors that stand for how the current panel of a
// tridiagonalisation has changed the matrix. They are rows of a stack, in the order
// in which they were pushed, and come in groups: v, w for a real matrix; Re v, Im v,
// Re w, Im w for a complex one. A sum over them is one product with the whole stack.
type changes struct {
	group, n   int
	from       int            // the first column in use
	stack      blas64.General // [count × n] in use
	other      blas64.General // the stack with the rows of its groups exchanged
	x, partner []float64
}

// exchange says, for a row of the stack, which row of its group is its partner in
// a sum of products, and with which sign.
type exchange func(row int) (partner int, sign float64)

// newChanges returns an empty stack for one panel of a matrix of order n, whose
// groups have the given number of vectors.
func newChanges(group, n int) *changes {
	rows := group * panelWidth
	c := &changes{group: group, n: n, stack: newGeneral(rows, n), other: newGeneral(rows, n)}
	c.x, c.partner = make([]float64, rows), make([]float64, rows)
	return c
}

// reset empties the stack; columns before from are not used any more.
func (c *changes) reset(from int) { c.from, c.stack.Rows = from, 0 }

// push adds a group of zero vectors and returns the row of the first.
func (c *changes) push() int {
	at := c.stack.Rows
	c.stack.Rows += c.group
	for i := at; i < c.stack.Rows; i++ {
		clear(c.row(i))
	}
	return at
}

// row returns a vector of the stack, [n].
func (c *changes) row(i int) []float64 { return c.stack.Data[i*c.n : (i+1)*c.n] }

// at returns element j of the partner of every vector, with its sign.
func (c *changes) at(j int, e exchange) []float64 {
	for i := range c.stack.Rows {
		partner, sign := e(i)
		c.partner[i] = sign * c.stack.Data[partner*c.n+j]
	}
	return c.partner[:c.stack.Rows]
}

// dots returns the product of every vector, from element j on, with x.
func (c *changes) dots(j int, x []float64) []float64 {
	d := c.x[:c.stack.Rows]
	blas64.Gemv(blas.NoTrans, 1, c.columns(j), vector(x), 0, vector(d))
	return d
}

// subtractCombination subtracts the sum of the vectors with the given
// coefficients, from element j on, from y.
func (c *changes) subtractCombination(j int, y, coefficients []float64) {
	blas64.Gemv(blas.Trans, -1, c.columns(j), vector(coefficients), 1, vector(y))
}

// columns returns the stack from column j on.
func (c *changes) columns(j int) blas64.General {
	return general(c.stack.Rows, c.n-j, c.n, c.stack.Data[j:])
}

// fillPartners prepares subtract: the partners of the stack's vectors.
func (c *changes) fillPartners(e exchange) {
	for i := range c.stack.Rows {
		partner, sign := e(i)
		to := c.other.Data[i*c.n : (i+1)*c.n]
		for j, v := range c.row(partner)[c.from:] {
			to[c.from+j] = sign * v
		}
	}
}

// updateBlock is the height of the strips of a matrix that are updated in one
// product. Half of the square on the diagonal of each strip is computed in vain.
const updateBlock = 128

// subtract subtracts Σ stack_i·other_iᵀ from the upper triangle of the trailing
// matrix that begins at row and column from.
func (c *changes) subtract(a []float64, stride, from int) {
	if from >= c.n {
		return
	}
	square := newGeneral(updateBlock, updateBlock)
	for r := from; r < c.n; r += updateBlock {
		end := min(c.n, r+updateBlock)
		size := end - r
		left := general(c.stack.Rows, size, c.n, c.stack.Data[r:])
		// The diagonal block is updated by way of a copy, because elements below the
		// diagonal belong to the caller.
		right := general(c.stack.Rows, size, c.n, c.other.Data[r:])
		s := general(size, size, updateBlock, square.Data)
		blas64.Gemm(blas.Trans, blas.NoTrans, 1, left, right, 0, s)
		for i := range size {
			row := a[(r+i)*stride+r : (r+i)*stride+end]
			for j := i; j < size; j++ {
				row[j] -= s.Data[i*updateBlock+j]
			}
		}
		if end < c.n {
			right = general(c.stack.Rows, c.n-end, c.n, c.other.Data[end:])
			rest := general(size, c.n-end, stride, a[r*stride+end:])
			blas64.Gemm(blas.Trans, blas.NoTrans, -1, left, right, 1, rest)
		}
	}
}
