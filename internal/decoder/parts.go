package decoder

// Rotate turns the rotary pairs of m, [T × 2·pairs], in place, each at its
// frequency in radians per token, row t being position t. The parts of a pair are
// neighbours if interleaved, else half the width apart.
func Rotate(m Matrix, frequency []float64, interleaved bool) {
	turn := newRotation(frequency, m.Rows)
	if interleaved {
		turn.apply(m, 0, 2, 1)
		return
	}
	turn.apply(m, 0, 1, len(frequency))
}

// Attention sets out, [T × v's columns], to causal softmax(scale·q·kᵀ)·v.
func Attention(out, q, k, v Matrix, scale float64) { attend(out, q, k, v, scale, 0, nil) }

// Columns returns n columns of m from the given one on, sharing its data.
func Columns(m Matrix, from, n int) Matrix { return columns(m, from, n) }

// Rows returns n rows of m from the given one on, sharing its data.
func Rows(m Matrix, from, n int) Matrix { return rows(m, from, from+n) }

// Transpose returns mᵀ.
func Transpose(m Matrix) Matrix {
	t := NewMatrix(m.Cols, m.Rows)
	for i := range m.Rows {
		for j, v := range m.Data[i*m.Stride : i*m.Stride+m.Cols] {
			t.Data[j*t.Stride+i] = v
		}
	}
	return t
}

// Project returns x·wᵀ, [T × rows of w].
func Project(x, w Matrix) Matrix { return project(x, w) }

// RMSNorm returns gamma ∘ x / √(mean square + eps) of every row of x.
func RMSNorm(x Matrix, gamma []float32, eps float64) Matrix {
	y := NewMatrix(x.Rows, x.Cols)
	rmsNorm(y, x, gamma, eps)
	return y
}
