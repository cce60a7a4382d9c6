package fastblas

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

// scale sets C to beta·C.
func (p product[T]) scale() {
	if p.beta == 1 {
		return
	}
	all := block{0, p.m, 0, p.n}
	for i := range p.m {
		from, to := all.columns(i, p.part)
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
