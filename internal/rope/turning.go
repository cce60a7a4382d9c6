package rope

import "gonum.org/v1/gonum/mat"

// Turning returns a function from the second moments E[k kᵀ] of a key before RoPE,
// [D × D], to those of the key as queries meet it: turned back by the distance
// between them, on average over p (design §5, a compressed query). Frequencies are
// those of the D/2 pairs, in radians per token.
//
// With z a pair and ω its frequency the moments E[z_i z̄_j] get the factor
// E e^{−j(ω_i−ω_j)Δ}, and E[z_i z_j] gets E e^{−j(ω_i+ω_j)Δ}: what fast pairs have
// in common with others averages out.
func (p Distances) Turning(frequencies []float64) func(keys mat.Symmetric) *mat.SymDense {
	J := len(frequencies)
	sums, differences := make([]complex128, J*J), make([]complex128, J*J)
	for i, a := range frequencies {
		for j, b := range frequencies {
			sums[i*J+j], differences[i*J+j] = p.Rho(-a-b), p.Rho(b-a)
		}
	}
	return func(keys mat.Symmetric) *mat.SymDense {
		turned := mat.NewSymDense(2*J, nil)
		for i := range J {
			for j := range J {
				re, im := keys.At(i, j), keys.At(i+J, j+J)
				reIm, imRe := keys.At(i, j+J), keys.At(i+J, j)
				product := complex(re-im, imRe+reIm) * sums[i*J+j]           // E[z_i z_j]
				covariance := complex(re+im, imRe-reIm) * differences[i*J+j] // E[z_i z̄_j]
				turned.SetSym(i, j, real(covariance+product)/2)
				turned.SetSym(i+J, j+J, real(covariance-product)/2)
				turned.SetSym(i+J, j, imag(covariance+product)/2)
			}
		}
		return turned
	}
}
