package layout

import "gonum.org/v1/gonum/mat"

// rowWriter writes rows of one width to a tensor. It fills them up with zeros, before and after.
type rowWriter struct {
	sink Sink
	row  []float64
	from int // the column where values begin
}

// write writes one row, multiplied by scale.
func (r *rowWriter) write(values []float64, scale float64) error {
	for j := range r.row {
		r.row[j] = 0
	}
	for j, v := range values {
		r.row[r.from+j] = v * scale
	}
	return r.sink.WriteFloats(r.row)
}

// rows writes m, multiplied by scale, as total rows: its pairs of rows come stride pairs
// apart, with rows of zeros between and after them. A stride of 1 leaves them together.
func (r *rowWriter) rows(m mat.Matrix, scale float64, stride, total int) error {
	n, c := m.Dims()
	values := make([]float64, c)
	for i := range total {
		pair, part := i/2, i%2
		from := 2*(pair/stride) + part
		if pair%stride != 0 || from >= n {
			if err := r.write(nil, 0); err != nil {
				return err
			}
			continue
		}
		mat.Row(values, from, m)
		if err := r.write(values, scale); err != nil {
			return err
		}
	}
	return nil
}

// all writes the rows of m, which is nil if it has none.
func (r *rowWriter) all(m *mat.Dense) error {
	if m == nil {
		return nil
	}
	n, _ := m.Dims()
	return r.rows(m, 1, 1, n)
}

// diagonal writes v times the identity.
func (r *rowWriter) diagonal(v float64) error {
	unit := make([]float64, len(r.row))
	for i := range unit {
		unit[i] = v
		if err := r.write(unit, 1); err != nil {
			return err
		}
		unit[i] = 0
	}
	return nil
}

// writeTensor writes one tensor of the given width through fill.
func writeTensor(sink Sink, width int, fill func(*rowWriter) error) error {
	if err := fill(&rowWriter{sink: sink, row: make([]float64, width)}); err != nil {
		return err
	}
	return sink.Close()
}

// writeVector writes a tensor of one dimension.
func writeVector(sink Sink, v []float64) error {
	if err := sink.WriteFloats(v); err != nil {
		return err
	}
	return sink.Close()
}

// writeMatrix writes m, which is nil if it has no rows.
func writeMatrix(sink Sink, m *mat.Dense) error {
	width := 0
	if m != nil {
		_, width = m.Dims()
	}
	return writeTensor(sink, width, func(out *rowWriter) error { return out.all(m) })
}

// constant returns a slice of n elements v.
func constant(v float64, n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = v
	}
	return values
}
