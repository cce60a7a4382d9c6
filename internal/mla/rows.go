package mla

import "gonum.org/v1/gonum/mat"

// rowWriter writes rows of one width, filling up with zeros.
type rowWriter struct {
	sink Sink
	row  []float64
}

// write writes one row, scaled.
func (r *rowWriter) write(values []float64, scale float64) error {
	for j := range r.row {
		r.row[j] = 0
	}
	for j, v := range values {
		r.row[j] = v * scale
	}
	return r.sink.WriteFloats(r.row)
}

// rows writes m scaled, as total rows: pairs of rows stride pairs apart, zeros
// between and after. A stride of 1 leaves them together.
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
