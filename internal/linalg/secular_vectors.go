package linalg

import (
	"math"

	"gonum.org/v1/gonum/blas/blas64"
)

// vectors returns unit eigenvectors of diag(pole) + ρ·z·zᵀ, [rows × wanted]: a column
// for each of the wanted roots, whose elements are in the order that rows says.
//
// The computed roots are the exact ones of a slightly different z. The vectors are
// computed from that z, and are therefore orthogonal however close the roots are (Gu &
// Eisenstat, SIAM J. Matrix Anal. Appl. 15, 1266–1276).
func (s *secular) vectors(z []float64, roots []secularRoot, rows, wanted []int) blas64.General {
	exact := s.consistent(z, roots)
	u := newGeneral(len(rows), len(wanted))
	parallelRange(len(wanted), 64, func(from, to int) {
		norms := make([]float64, to-from)
		for r, i := range rows {
			row := u.Data[r*u.Stride+from : r*u.Stride+to]
			for c, j := range wanted[from:to] {
				v := exact[i] / s.distance(i, roots[j])
				row[c] = v
				norms[c] += v * v
			}
		}
		for c, v := range norms {
			norms[c] = 1 / math.Sqrt(v)
		}
		for r := range rows {
			row := u.Data[r*u.Stride+from : r*u.Stride+to]
			for c := range row {
				row[c] *= norms[c]
			}
		}
	})
	return u
}

// consistent returns the vector, up to its length and with the signs of z, for
// which the given roots are exact (Löwner's formula):
//
//	ẑ_i² = Π_j (λ_j − pole_i) / Π_{j≠i} (pole_j − pole_i)
func (s *secular) consistent(z []float64, roots []secularRoot) []float64 {
	exact := make([]float64, len(z))
	parallelRange(len(z), 16, func(from, to int) {
		for i := from; i < to; i++ {
			p := s.pole[i]
			product := -s.distance(i, roots[i])
			for j, r := range roots {
				if j != i {
					product *= s.distance(i, r) / (p - s.pole[j])
				}
			}
			exact[i] = math.Copysign(math.Sqrt(math.Abs(product)), z[i])
		}
	})
	return exact
}
