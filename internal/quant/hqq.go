package quant

import "math"

// The solver's parameters are HQQ's own: the norm, the weight β of its quadratic
// term, by which β grows, and the number of iterations. HQQ applies β to weights
// as they are; here it applies to errors in steps, so that the result does not
// depend on the unit of what is quantised.
const (
	norm       = 0.7
	beta       = 10
	growth     = 1.01
	iterations = 20
)

// refined returns a with the offset that HQQ's half-quadratic solver finds, or a
// itself where that is no better.
//
// It minimises Σ|x − value(code(x))|^0.7 by splitting the error off as a variable
// of its own: that takes what shrink leaves of the errors, outliers, and the
// offset the mean of the rest.
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

// shrink is the proximal operator of the norm: errors that it takes for noise
// become zero, larger ones a little smaller.
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
