package linalg

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// reflectedHermitian is reflected for a complex matrix: A = Q·T·Qᴴ with
// reflectors H_j = I − tau_j·v_j·v_jᴴ.
type reflectedHermitian struct {
	hermitian
	tau []complex128
}

// apply returns Q·z for a real z, [n × k], as [n × 2k]: the real part of the result
// beside the imaginary one.
func (r reflectedHermitian) apply(z blas64.General) blas64.General {
	n, k := r.re.N, z.Cols
	out := newGeneral(n, 2*k)
	for i := range n {
		copy(out.Data[i*2*k:], z.Data[i*z.Stride:i*z.Stride+k])
	}
	storage := newGeneral(2*panelWidth, n)
	for from := lastGroup(n-1, panelWidth); from >= 0; from -= panelWidth {
		v := r.panel(from, min(n-1, from+panelWidth), storage)
		part := general(v.Cols, 2*k, 2*k, out.Data[(from+1)*2*k:])
		r.applyPanel(from, v, part)
	}
	return out
}

// panel returns the vectors of reflectors from … to−1 as rows, real parts above
// imaginary ones, from column from+1 on.
func (r reflectedHermitian) panel(from, to int, storage blas64.General) blas64.General {
	v := general(2*(to-from), r.re.N-from-1, storage.Stride, storage.Data)
	for j := from; j < to; j++ {
		re, im := r.row(j)
		for i, x := range [][]float64{re, im} {
			row := v.Data[(j-from+i*(to-from))*v.Stride:][:v.Cols]
			clear(row[:j-from])
			copy(row[j-from:], x[1:])
		}
	}
	return v
}

// applyPanel sets z, [m × 2k], to (I − V·T·Vᴴ)·z.
func (r reflectedHermitian) applyPanel(from int, v, z blas64.General) {
	w, k := v.Rows/2, z.Cols/2
	t := r.triangle(from, v)
	vz, tvz := newGeneral(2*w, 2*k), newGeneral(w, 2*k)
	blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, v, z, 0, vz)
	for i := range w {
		// Vᴴ = Vᵣᵀ − j·Vᵢᵀ: real part Vᵣᵀzᵣ + Vᵢᵀzᵢ, imaginary part Vᵣᵀzᵢ − Vᵢᵀzᵣ.
		upper, lower := vz.Data[i*2*k:(i+1)*2*k], vz.Data[(w+i)*2*k:(w+i+1)*2*k]
		for c := range k {
			upper[c] += lower[k+c]
			upper[k+c] -= lower[c]
		}
	}
	timesI(vz)
	blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, t, vz, 0, tvz)
	copy(vz.Data, tvz.Data)
	timesI(vz)
	blas64.Gemm(blas.Trans, blas.NoTrans, -1, v, vz, 1, z)
}

// timesI fills the lower half of x, whose upper half is X = [Xᵣ Xᵢ], with j·X =
// [−Xᵢ Xᵣ]: (A + j·B)·X is [A B] times the whole.
func timesI(x blas64.General) {
	w, k := x.Rows/2, x.Cols/2
	for i := range w {
		upper, lower := x.Data[i*2*k:(i+1)*2*k], x.Data[(w+i)*2*k:(w+i+1)*2*k]
		for c := range k {
			lower[c], lower[k+c] = -upper[k+c], upper[c]
		}
	}
}

// triangle returns the upper triangular T, [w × 2w] as [Tᵣ Tᵢ], of the product of
// the reflectors from … (LAPACK's zlarft).
func (r reflectedHermitian) triangle(from int, v blas64.General) blas64.General {
	w := v.Rows / 2
	gram := newGeneral(2*w, 2*w)
	blas64.Gemm(blas.NoTrans, blas.Trans, 1, v, v, 0, gram)
	g := func(i, j int) float64 { return gram.Data[i*2*w+j] }
	t := newGeneral(w, 2*w)
	for i := range w {
		tau := r.tau[from+i]
		for row := range i {
			var sum complex128
			for l := row; l < i; l++ {
				dot := complex(g(l, i)+g(w+l, w+i), g(l, w+i)-g(w+l, i)) // v_lᴴv_i
				sum += complex(t.Data[row*2*w+l], t.Data[row*2*w+w+l]) * dot
			}
			sum *= -tau
			t.Data[row*2*w+i], t.Data[row*2*w+w+i] = real(sum), imag(sum)
		}
		t.Data[i*2*w+i], t.Data[i*2*w+w+i] = real(tau), imag(tau)
	}
	return t
}
