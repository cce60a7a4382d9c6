package linalg

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// merge joins the eigenvectors of the two halves of a tridiagonal matrix. It finds the
// eigenvectors of
//
//	diag(poles) + ρ·z·zᵀ
//
// and multiplies those of the halves by them. It follows LAPACK's dlaed1, 2 and 3.
type merge struct {
	q     blas64.General // [n × n]: the vectors of the halves, block-diagonal
	split int            // columns of the upper half
	poles []float64      // [n]
	z     []float64      // [n], of norm one
	rho   float64

	kind     []columnKind // where the columns of q are not zero
	kept     []int        // columns in the secular equation, poles ascending
	deflated []int        // columns that are eigenvectors already
}

// columnKind says which rows of a column of q are not zero.
type columnKind uint8

const (
	upperRows columnKind = iota
	allRows              // a rotation has mixed the halves
	lowerRows
)

// newMerge begins a merge. Q holds the eigenvectors of the halves, whose eigenvalues
// are upper and lower; e is the element of the tridiagonal matrix that couples them.
func newMerge(q blas64.General, upper, lower []float64, e float64) *merge {
	n := q.Rows
	m := &merge{q: q, split: len(upper), poles: slices.Concat(upper, lower), rho: 2 * math.Abs(e)}
	m.z, m.kind = make([]float64, n), make([]columnKind, n)
	// v is one at the last row of the upper half and ±1 at the first of the lower.
	last, first := q.Data[(m.split-1)*q.Stride:], q.Data[m.split*q.Stride:]
	for j := range n {
		if j < m.split {
			m.z[j] = last[j] / math.Sqrt2
			continue
		}
		m.z[j] = math.Copysign(1, e) * first[j] / math.Sqrt2
		m.kind[j] = lowerRows
	}
	return m
}

// run writes eigenvectors of the k largest eigenvalues into the first columns of q
// and returns all eigenvalues.
func (m *merge) run(k int) []float64 {
	m.deflate()
	s, z := m.secular()
	roots := make([]secularRoot, len(m.kept))
	parallelRange(len(roots), 16, func(from, to int) {
		for j := from; j < to; j++ {
			roots[j] = s.root(j)
		}
	})
	n := len(m.poles)
	// Vectors are roots first, then deflated columns; order sorts them by value.
	value, order := make([]float64, n), make([]int, n)
	for i := range n {
		order[i] = i
		if i < len(roots) {
			value[i] = s.value(roots[i])
		} else {
			value[i] = m.poles[m.deflated[i-len(roots)]]
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case value[a] < value[b]:
			return -1
		case value[a] > value[b]:
			return 1
		}
		return 0
	})
	m.assemble(s, z, roots, order[n-k:])
	sorted := make([]float64, n)
	for i, o := range order {
		sorted[i] = value[o]
	}
	return sorted
}

// deflate separates columns that are eigenvectors already from the rest: those whose z
// is negligible, and those that become so when a rotation mixes them with a column of
// nearly the same pole. Whatever it neglects is below the rounding of the matrix.
func (m *merge) deflate() {
	largest := 0.0
	for i, p := range m.poles {
		largest = max(largest, math.Abs(p), m.rho*math.Abs(m.z[i]))
	}
	tolerance := 8 * unitRoundoff * largest
	previous := -1
	for _, j := range m.ascending() {
		switch {
		case m.rho*math.Abs(m.z[j]) <= tolerance:
			m.deflated = append(m.deflated, j)
			continue
		case previous >= 0 && m.rotate(previous, j, tolerance):
			m.deflated = append(m.deflated, previous)
		case previous >= 0:
			m.kept = append(m.kept, previous)
		}
		previous = j
	}
	if previous >= 0 {
		m.kept = append(m.kept, previous)
	}
}

// ascending returns the columns in the order of their poles.
func (m *merge) ascending() []int {
	order := make([]int, 0, len(m.poles))
	i, j := 0, m.split
	for i < m.split || j < len(m.poles) {
		if j == len(m.poles) || i < m.split && m.poles[i] <= m.poles[j] {
			order, i = append(order, i), i+1
		} else {
			order, j = append(order, j), j+1
		}
	}
	return order
}

// rotate turns columns i and j, of neighbouring poles, so that z of column i is zero,
// if the element that this adds beside the diagonal is negligible. It reports whether
// it has done so.
func (m *merge) rotate(i, j int, tolerance float64) bool {
	s, c := m.z[i], m.z[j]
	length := math.Hypot(c, s)
	gap := m.poles[j] - m.poles[i]
	c, s = c/length, -s/length
	if math.Abs(gap*c*s) > tolerance {
		return false
	}
	m.z[i], m.z[j] = 0, length
	if m.kind[i] != m.kind[j] {
		m.kind[i], m.kind[j] = allRows, allRows
	}
	column := func(j int) blas64.Vector {
		return blas64.Vector{N: m.q.Rows, Inc: m.q.Stride, Data: m.q.Data[j:]}
	}
	blas64.Rot(column(i), column(j), c, s)
	p, q := m.poles[i], m.poles[j]
	m.poles[i], m.poles[j] = p*c*c+q*s*s, p*s*s+q*c*c
	return true
}

// secular returns the equation of the kept columns, and their z.
func (m *merge) secular() (*secular, []float64) {
	pole, weight := make([]float64, len(m.kept)), make([]float64, len(m.kept))
	z := make([]float64, len(m.kept))
	for i, j := range m.kept {
		pole[i], z[i] = m.poles[j], m.z[j]
		weight[i] = m.rho * z[i] * z[i]
	}
	return newSecular(pole, weight), z
}

// assemble replaces the first columns of q by the chosen vectors: roots, or
// deflated columns, which are counted from len(roots) on.
func (m *merge) assemble(s *secular, z []float64, roots []secularRoot, chosen []int) {
	n, wanted := m.q.Rows, []int{}
	for _, o := range chosen {
		if o < len(roots) {
			wanted = append(wanted, o)
		}
	}
	deflated := newGeneral(n, len(m.deflated))
	gather(deflated, m.q, m.deflated)
	product := m.multiply(s, z, roots, wanted)
	parallelRange(n, 64, func(from, to int) {
		for i := from; i < to; i++ {
			row, at := m.q.Data[i*m.q.Stride:i*m.q.Stride+n], 0
			for c, o := range chosen {
				if o < len(roots) {
					row[c] = product.Data[i*product.Stride+at]
					at++
				} else {
					row[c] = deflated.Data[i*deflated.Stride+o-len(roots)]
				}
			}
		}
	})
}

// multiply returns the vectors of the wanted roots, [n × wanted]: the kept columns
// times the eigenvectors of the secular equation, half by half, without the
// columns that are zero there.
func (m *merge) multiply(s *secular, z []float64, roots []secularRoot, wanted []int) blas64.General {
	product := newGeneral(m.q.Rows, len(wanted))
	if len(wanted) == 0 {
		return product
	}
	var rows []int    // rows of the secular equation's eigenvectors, sorted by the kind of their columns
	begin := [4]int{} // where the rows of each kind begin
	for kind := upperRows; kind <= lowerRows; kind++ {
		for i, j := range m.kept {
			if m.kind[j] == kind {
				rows = append(rows, i)
			}
		}
		begin[kind+1] = len(rows)
	}
	u := s.vectors(z, roots, rows, wanted)
	half := func(row, end, from, to int) {
		if from == to || row == end {
			return
		}
		columns := make([]int, 0, to-from)
		for _, i := range rows[from:to] {
			columns = append(columns, m.kept[i])
		}
		left := newGeneral(end-row, to-from)
		gather(left, general(end-row, m.q.Cols, m.q.Stride, m.q.Data[row*m.q.Stride:]), columns)
		blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, left,
			general(to-from, u.Cols, u.Stride, u.Data[from*u.Stride:]), 0,
			general(end-row, u.Cols, product.Stride, product.Data[row*product.Stride:]))
	}
	half(0, m.split, begin[upperRows], begin[lowerRows])
	half(m.split, m.q.Rows, begin[allRows], begin[lowerRows+1])
	return product
}

// gather sets to to the given columns of from.
func gather(to, from blas64.General, columns []int) {
	parallelRange(to.Rows, 64, func(first, end int) {
		for i := first; i < end; i++ {
			row := from.Data[i*from.Stride:]
			for c, j := range columns {
				to.Data[i*to.Stride+c] = row[j]
			}
		}
	})
}
