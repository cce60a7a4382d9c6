package f32

import "math"

// Rotation holds e^{jωt}, by which RoPE multiplies a pair of frequency ω at position t
// (design §2), for some positions and every rotary pair.
type Rotation struct {
	pairs    int
	cos, sin []float32 // [positions × pairs]
}

// NewRotation returns the rotation for a number of positions from the given one on, with the
// frequency of each pair in radians per token.
func NewRotation(frequency []float64, from, positions int) *Rotation {
	r := &Rotation{len(frequency), make([]float32, positions*len(frequency)), make([]float32, positions*len(frequency))}
	for t := range positions {
		for i, omega := range frequency {
			sin, cos := math.Sincos(omega * float64(from+t))
			r.cos[t*r.pairs+i], r.sin[t*r.pairs+i] = float32(cos), float32(sin)
		}
	}
	return r
}

// Apply rotates a head of m, whose rows are tokens, in place: row t by the t-th position of
// the rotation. Pair i has its real part at column from + i·step and its imaginary part gap
// columns further.
func (r *Rotation) Apply(m Matrix, from, step, gap int) {
	for t := range m.Rows {
		row := m.Data[t*m.Stride+from:]
		for i := range r.pairs {
			cos, sin := r.cos[t*r.pairs+i], r.sin[t*r.pairs+i]
			re, im := row[i*step], row[i*step+gap]
			row[i*step], row[i*step+gap] = re*cos-im*sin, re*sin+im*cos
		}
	}
}

// Rotate rotates the pairs of m, [T × 2·pairs], in place. Row t is rotated by position t, and
// each pair at its frequency in radians per token. The parts of a pair are neighbours if
// interleaved, else half the width apart.
func Rotate(m Matrix, frequency []float64, interleaved bool) {
	turn := NewRotation(frequency, 0, m.Rows)
	if interleaved {
		turn.Apply(m, 0, 2, 1)
		return
	}
	turn.Apply(m, 0, 1, len(frequency))
}
