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

// RMSNormBack sets each row of back, [T × d], to the gradient with respect to the row x of x of a
// loss whose gradient with respect to that row of RMSNorm is g, of gradient, [T × d]. With
// s = 1/√(mean x² + eps) it is s·(gamma∘g − x·s²·mean(x∘gamma∘g)). Back may be gradient.
func RMSNormBack(back, x, gradient Matrix, gamma []float32, eps float64) {
	for t := range x.Rows {
		in, g, out := x.Row(t), gradient.Row(t), back.Row(t)
		along := 0.0
		for j, v := range in {
			along += float64(v) * float64(gamma[j]*g[j])
		}
		scale := 1 / math.Sqrt(square(in)/float64(x.Cols)+eps)
		s, pull := float32(scale), float32(scale*scale*scale*along/float64(x.Cols))
		for j, v := range in {
			out[j] = s*(gamma[j]*g[j]) - pull*v
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
