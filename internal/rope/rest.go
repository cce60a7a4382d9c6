package rope

import "gonum.org/v1/gonum/mat"

// Rest is the mean rotation of each pair of one query head, [J]: ρ_i = E[e^{jω_iΔ}]
// over the distances that matter to the head. It is the best constant in the place of
// a rotation that is lost, so the content query is the query multiplied by it, pair by
// pair (design §4). A nil Rest changes nothing.
type Rest []complex128

// Rest returns the mean rotation of query head h for pairs of the given frequencies,
// in radians per token.
func (m *Moments) Rest(h int, frequencies []float64) Rest {
	r := make(Rest, len(frequencies))
	for i, omega := range frequencies {
		r[i] = m.Heads[h].Rho(omega)
	}
	return r
}

// Turn returns a copy of m, [2J × n], whose pairs of rows (i, i+J) are multiplied
// by ρ_i.
func (r Rest) Turn(m mat.Matrix) *mat.Dense {
	turned := mat.DenseCopyOf(m)
	for i, rho := range r {
		re, im := turned.RawRowView(i), turned.RawRowView(i+len(r))
		for j := range re {
			z := complex(re[j], im[j]) * rho
			re[j], im[j] = real(z), imag(z)
		}
	}
	return turned
}

// TurnMoments returns R·s·Rᵀ for the second moments s of a query, [2J × 2J], where R
// is what Turn multiplies by: the second moments of the content query.
func (r Rest) TurnMoments(s mat.Symmetric) *mat.SymDense {
	half := r.Turn(s)
	whole := r.Turn(half.T())
	turned := mat.NewSymDense(s.SymmetricDim(), nil)
	for i := range s.SymmetricDim() {
		for j := range i + 1 {
			turned.SetSym(i, j, (whole.At(i, j)+whole.At(j, i))/2)
		}
	}
	return turned
}

// TurnRow multiplies the pairs (i, i+J) of one query, [2J], by ρ_i in place.
func (r Rest) TurnRow(query []float32) {
	for i, rho := range r {
		z := complex(float64(query[i]), float64(query[i+len(r)])) * rho
		query[i], query[i+len(r)] = float32(real(z)), float32(imag(z))
	}
}
