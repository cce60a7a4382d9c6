package rope

import "gonum.org/v1/gonum/mat"

// Rest is what is left on average of the rotation of the pairs of one query head, [J]:
// ρ_i = E[e^{jω_iΔ}] over the distances that matter to the head. It is the best
// constant in the place of a rotation that is lost (design §4): the query meets
// content keys multiplied with it, pair by pair. Nil changes nothing.
type Rest []complex128

// Rest returns that of query head h for pairs of the given frequencies.
func (m *Moments) Rest(h int, frequencies []float64) Rest {
	r := make(Rest, len(frequencies))
	for i, omega := range frequencies {
		r[i] = m.Heads[h].Rho(omega)
	}
	return r
}

// Turn returns a copy of m, [2J × n], whose pairs of rows (i, i+J) are multiplied
// with ρ_i.
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

// TurnMoments returns R·s·Rᵀ for the second moments s of a query, [2J × 2J]: those of
// the query that Turn returns.
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

// TurnRow multiplies the pairs (i, i+J) of one query, [2J], in place.
func (r Rest) TurnRow(query []float32) {
	for i, rho := range r {
		z := complex(float64(query[i]), float64(query[i+len(r)])) * rho
		query[i], query[i+len(r)] = float32(real(z)), float32(imag(z))
	}
}
