package quant

import "math"

// Scheme says how a vector is quantised. Each group of neighbours has codes of Bits bits, and
// one step and one offset of 16 bits each: v ≈ offset + step·code.
type Scheme struct {
	Bits  int // of a code, 1 to 16
	Group int // the most numbers that share a step and an offset
}

// DefaultGroup is the group size of HQQ, and of most engines.
const DefaultGroup = 64

// parameterBits is how many bits the step and the offset of a group take.
const parameterBits = 2 * 16

// groups returns how many groups a vector of n numbers has: as few as the scheme allows. Their
// sizes differ by one at most, so that a length that the group size does not divide leaves no
// small remnant that has a step and an offset, too.
func (s Scheme) groups(n int) int { return (n + s.Group - 1) / s.Group }

// CodeBits returns the size in bits of the codes of a vector of n numbers.
func (s Scheme) CodeBits(n int) int { return s.Bits * n }

// StoredBits returns the size in bits of a vector of n numbers: codes, steps and offsets.
func (s Scheme) StoredBits(n int) int { return s.CodeBits(n) + parameterBits*s.groups(n) }

// Round quantises v and sets it to the numbers that the codes stand for. Groups that hold a
// number that is not finite stay as they are.
func (s Scheme) Round(v []float32) {
	n := s.groups(len(v))
	for k := range n {
		s.roundGroup(v[k*len(v)/n : (k+1)*len(v)/n])
	}
}

// roundGroup is Round for one group.
func (s Scheme) roundGroup(v []float32) {
	low, high := bounds(v)
	if math.IsNaN(low) || math.IsInf(high-low, 0) {
		return
	}
	most := math.Exp2(float64(s.Bits)) - 1
	a := affine{step: half((high - low) / most), offset: half(low), most: most}
	if a.step > 0 {
		a = a.refined(v)
	}
	for i, x := range v {
		v[i] = float32(min(math.MaxFloat32, max(-math.MaxFloat32, a.value(a.code(float64(x))))))
	}
}

// bounds returns the least and the largest of v, or NaN if v holds one.
func bounds(v []float32) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, x := range v {
		low, high = math.Min(low, float64(x)), math.Max(high, float64(x)) // NaN stays
	}
	return low, high
}

// half rounds x to the eleven significant bits of a float16. It does not bound x to the range
// of a float16, because a cache with larger numbers keeps steps and offsets in a larger unit.
func half(x float64) float64 {
	fraction, exponent := math.Frexp(x)
	return math.Ldexp(math.RoundToEven(fraction*(1<<11)), exponent-11)
}

// affine maps codes from 0 to most to numbers.
type affine struct{ step, offset, most float64 }

// value returns the number that a code stands for.
func (a affine) value(code float64) float64 { return a.offset + a.step*code }

// code returns the code of the number nearest to x.
func (a affine) code(x float64) float64 {
	if a.step == 0 {
		return 0
	}
	return min(a.most, max(0, math.RoundToEven((x-a.offset)/a.step)))
}
