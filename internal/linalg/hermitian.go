package linalg

import (
	"math"
	"math/cmplx"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// EigenHermitian is Eigen of a complex Hermitian matrix h:
//
//	Σ_j h(i,j) · Vectors[m][j] = Values[m] · Vectors[m][i]
//
// The phase of each vector is fixed by making its largest component real and
// positive.
type EigenHermitian struct {
	Values   []float64      // all n, in descending order
	Vectors  [][]complex128 // [k][n], orthonormal, of the k largest
	Fallback bool           // as in Eigen
}

// TopHermitian returns the eigenvalues of the complex Hermitian n×n matrix h and
// eigenvectors of the k largest. It reads the upper triangle of h alone. Errors and
// method are those of TopSym.
func TopHermitian(n, k int, h func(i, j int) complex128) (EigenHermitian, error) {
	m := newHermitian(n, h)
	exponent, err := rescale(m.re, m.im)
	if err != nil {
		return EigenHermitian{}, err
	}
	original := originalHermitian{mirror(m.re), mirror(m.im)}
	t, q := m.tridiagonalise()
	wanted := max(1, k) // at least one, for the check
	values, z, err := t.top(wanted)
	if err != nil {
		return embeddedHermitian(n, k, h)
	}
	slices.Reverse(values)
	reverseColumns(z)
	both := q.apply(z)
	if !original.confirms(values, both) {
		return embeddedHermitian(n, k, h)
	}
	vectors := make([][]complex128, k)
	parallel(k, func(c int) {
		vectors[c] = make([]complex128, n)
		for i := range n {
			row := both.Data[i*both.Stride:]
			vectors[c][i] = complex(row[c], row[wanted+c])
		}
		fixPhase(vectors[c])
	})
	return EigenHermitian{Values: unscale(values, exponent), Vectors: vectors}, nil
}

// embeddedHermitian is TopHermitian by way of a real matrix of twice the order:
// H = A + jB has the eigenvectors x + jy of the symmetric [A −B; B A], where every
// eigenvalue stands twice, once with x + jy, once with j(x + jy). Orthogonalising
// over the complex numbers drops the second.
func embeddedHermitian(n, k int, h func(i, j int) complex128) (EigenHermitian, error) {
	embedded := mat.NewSymDense(2*n, nil)
	for i := range n {
		embedded.SetSym(i, i, real(h(i, i)))
		embedded.SetSym(n+i, n+i, real(h(i, i)))
		for j := i + 1; j < n; j++ {
			v := h(i, j)
			embedded.SetSym(i, j, real(v))
			embedded.SetSym(n+i, n+j, real(v))
			embedded.SetSym(i, n+j, -imag(v))
			embedded.SetSym(j, n+i, imag(v))
		}
	}
	all, err := TopSym(embedded, 2*n)
	if err != nil {
		return EigenHermitian{}, err
	}
	e := EigenHermitian{Fallback: true}
	for c := 0; c < 2*n; c += 2 {
		e.Values = append(e.Values, all.Values[c])
	}
	for c := 0; c < 2*n && len(e.Vectors) < k; c++ {
		z := make([]complex128, n)
		for i := range z {
			z[i] = complex(all.Vectors.At(i, c), all.Vectors.At(n+i, c))
		}
		if orthogonalise(z, e.Vectors) {
			fixPhase(z)
			e.Vectors = append(e.Vectors, z)
		}
	}
	return e, nil
}

// orthogonalise makes the unit vector z orthogonal to the orthonormal basis and
// normalises it. It returns false if nothing of z is left. Among the 2m real
// eigenvectors of an m-fold eigenvalue the squares of what is left add up to
// at least 2 for every complex vector still missing, so a threshold well below
// 1/m loses none.
func orthogonalise(z []complex128, basis [][]complex128) bool {
	const threshold = 1e-3
	for range 2 { // the second pass removes the rounding of the first
		for _, b := range basis {
			var dot complex128
			for i := range z {
				dot += cmplx.Conj(b[i]) * z[i]
			}
			for i := range z {
				z[i] -= dot * b[i]
			}
		}
		norm := 0.0
		for _, v := range z {
			norm = math.Hypot(norm, cmplx.Abs(v))
		}
		if norm < threshold {
			return false
		}
		for i := range z {
			z[i] /= complex(norm, 0)
		}
	}
	return true
}

// fixPhase turns z so that its largest component is real and positive.
func fixPhase(z []complex128) {
	largest := z[0]
	for _, v := range z[1:] {
		if cmplx.Abs(v) > cmplx.Abs(largest)*(1+1e-9) { // a tie keeps the first
			largest = v
		}
	}
	turn := cmplx.Conj(largest) / complex(cmplx.Abs(largest), 0)
	for i := range z {
		z[i] *= turn
	}
}
