package rope

import (
	"math"
	"slices"
	"strconv"
)

// Bases returns the candidates for θ', the base of the rotary key's
// frequencies, for ropeDims rotary dimensions and a source of headDim
// dimensions at base theta, in ascending order.
//
// Slot m of base θ' = theta^(k·ropeDims/headDim) turns as pair k·m does. The
// grid holds steps k at which slots meet pairs exactly, one at which every pair
// has its slot in its own frequency (k = 1), finer ones that give the fast pairs
// several slots, and powers of theta in between; theta itself is always there.
func Bases(theta float64, headDim, ropeDims int) []float64 {
	ratio := float64(headDim) / float64(ropeDims)
	exponents := []float64{1}
	for j := 1; j <= 10; j++ {
		exponents = append(exponents, float64(j)/8)
	}
	for _, k := range []float64{1. / 4, 1. / 3, 1. / 2, 1, 2, 3, 4} {
		exponents = append(exponents, k/ratio)
	}
	last := float64(ropeDims/2 - 1)
	exponents = slices.DeleteFunc(exponents, func(e float64) bool {
		// A slowest slot far beyond the slowest pair would be wasted.
		return e != 1 && e*ratio*last > 1.25*float64(headDim/2)
	})
	slices.Sort(exponents)
	exponents = slices.CompactFunc(exponents, func(a, b float64) bool { return math.Abs(a-b) < 1e-3 })
	bases := make([]float64, len(exponents))
	for i, e := range exponents {
		bases[i] = theta
		if e != 1 {
			bases[i] = nineDigits(math.Pow(theta, e))
		}
	}
	return bases
}

// BasesFor is Bases for a source of base theta whose frequencies, [J] in radians per
// token, may be scaled. Scaled frequencies end where unscaled ones of another base
// would, so that the candidates for that base are added.
func BasesFor(theta float64, frequencies []float64, ropeDims int) []float64 {
	dim := 2 * len(frequencies)
	bases := Bases(theta, dim, ropeDims)
	if span := effectiveBase(frequencies); math.Abs(span-theta) > 1e-6*theta && span > 1 {
		bases = append(bases, Bases(span, dim, ropeDims)...)
		slices.Sort(bases)
	}
	return slices.Compact(bases)
}

// effectiveBase returns the base at which unscaled frequencies end where the given
// ones do, or 0 if there is none.
func effectiveBase(frequencies []float64) float64 {
	J := float64(len(frequencies))
	last := frequencies[len(frequencies)-1]
	if J < 2 || last <= 0 || last >= 1 {
		return 0
	}
	return nineDigits(math.Pow(last, -J/(J-1)))
}

// nineDigits rounds v to nine significant digits: finer than the float32 in
// which engines hold it, and without noise in a configuration file.
func nineDigits(v float64) float64 {
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 9, 64), 64) // always a number
	return rounded
}
