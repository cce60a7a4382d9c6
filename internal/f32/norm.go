package f32

import "math"

// RMSNorm sets each row of y, [T × d], to gamma ∘ x/√(mean x² + eps) for the row x of x,
// [T × d]. Gamma has d elements. Y may be x.
func RMSNorm(y, x Matrix, gamma []float32, eps float64) {
	for t := range x.Rows {
		in, out := x.Data[t*x.Stride:][:len(gamma)], y.Data[t*y.Stride:][:len(gamma)]
		scale := float32(1 / math.Sqrt(square(in)/float64(x.Cols)+eps))
		for j, g := range gamma {
			out[j] = g * (in[j] * scale)
		}
	}
}

// square returns Σ v² in double precision. It adds up four sums, so that no addition waits
// for the one before.
func square(v []float32) float64 {
	var a, b, c, d float64
	for ; len(v) >= 4; v = v[4:] {
		a += float64(v[0]) * float64(v[0])
		b += float64(v[1]) * float64(v[1])
		c += float64(v[2]) * float64(v[2])
		d += float64(v[3]) * float64(v[3])
	}
	for _, x := range v {
		a += float64(x) * float64(x)
	}
	return (a + b) + (c + d)
}
