package quant

import "math"

// The parameters of the solver are those of HQQ. HQQ applies β to weights as they are. Here it
// applies to errors in steps, so that the result does not depend on the unit of the numbers
// that are quantised.
const (
	norm       = 0.7  // exponent of the errors
	beta       = 10   // β, weight of the quadratic term
	growth     = 1.01 // factor of β after each iteration
	iterations = 20
)

// refined returns a with the offset that HQQ's half-quadratic solver finds, or a
// itself where that is no better.
//
// It minimises Σ|x − value(code(x))|^0.7 by splitting the error off as a second variable. In
// turn, this variable becomes what shrink leaves of the errors, which are those of outliers, and
// the offset moves by the mean of the rest (Badri and Shaji 2023).
func (a affine) refined(v []float32) affine {
	best, least := a, a.loss(v)
	weight := float64(beta)
	for range iterations {
		shift := 0.0
		for _, x := range v {
			off := (float64(x) - a.value(a.code(float64(x)))) / a.step
			shift += (off - shrink(off, weight)) / float64(len(v))
		}
		a.offset = half(a.offset + shift*a.step)
		weight *= growth
		loss := a.loss(v)
		if loss >= least {
			break
		}
		best, least = a, loss
	}
	return best
}

// shrink is the proximal operator of the norm. Errors that are small enough to be noise become
// zero, and larger ones a little smaller.
func shrink(off, weight float64) float64 {
	size := math.Abs(off)
	if size == 0 {
		return 0
	}
	return math.Copysign(max(0, size-math.Pow(size, norm-1)/weight), off)
}

// loss returns Σ|x − value(code(x))|^0.7, in steps.
func (a affine) loss(v []float32) float64 {
	sum := 0.0
	for _, x := range v {
		sum += math.Pow(math.Abs(float64(x)-a.value(a.code(float64(x))))/a.step, norm)
	}
	return sum
}
