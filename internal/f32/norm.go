package f32

import "math"

// RMSNorm sets each row of y to gamma ∘ row of x / √(mean square + eps). Both have as
// many columns as gamma has numbers, and may be the same.
func RMSNorm(y, x Matrix, gamma []float32, eps float64) {
	for t := range x.Rows {
		in, out := x.Data[t*x.Stride:][:len(gamma)], y.Data[t*y.Stride:][:len(gamma)]
		scale := float32(1 / math.Sqrt(square(in)/float64(x.Cols)+eps))
		for j, g := range gamma {
			out[j] = g * (in[j] * scale)
		}
	}
}

// square returns Σ x², in four sums, none of which waits for another.
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
