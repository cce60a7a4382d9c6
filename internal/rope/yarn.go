package rope

import "math"

// Yarn returns the scaling of type yarn at which slots of a rotary key turn most
// nearly as a source of dim rotary dimensions of base theta does that is scaled by
// s. It is nil where yarn has nothing to scale, and for other types, and for none.
//
// Its form is the one that all engines read alike in a model of positions positions,
// that of DeepSeek-V3 itself. Some take positions over the original positions for
// the factor: the original is a whole part of it. Where mscale and mscale_all_dim are
// both 1, all multiply scores by (1 + ln(factor)/10)², which is Attention². The pairs
// at which yarn begins and ends to stretch are whole numbers, so that these are
// searched for, and numbers of turns written that all round to them.
func (s *Scaling) Yarn(theta float64, dim int, slots Slots, positions int) *Scaling {
	n := float64(slots.Dims / 2)
	if s == nil || s.Kind != "llama3" && s.Kind != "yarn" || s.Factor <= 1 || n < 2 {
		return nil
	}
	y := &Scaling{Kind: "yarn", Original: math.Round(float64(positions) / s.Factor)}
	if y.Original < 1 {
		return nil
	}
	y.Factor = float64(positions) / y.Original
	y.Attention = MScale(y.Factor, 1)
	longer := y.Original / s.Original
	near := func(turns float64) float64 { return math.Round(y.pair(turns*longer, slots.Theta, slots.Dims)) }
	least := math.Inf(1)
	for from := max(0, near(s.High)-bounds); from <= min(n-2, near(s.High)+bounds); from++ {
		for to := max(from+1, near(s.Low)-bounds); to <= min(2*n-1, near(s.Low)+bounds); to++ {
			tried := *y
			tried.High, tried.Low = y.turns(from+rounded, slots), y.turns(to-rounded, slots)
			if off := tried.off(slots, s, theta, dim); off < least {
				*y, least = tried, off
			}
		}
	}
	if math.IsInf(least, 1) {
		return nil
	}
	return y
}

// MScale is what the implementations of yarn call so, of a factor and a weight: what
// queries and keys gain where positions are stretched.
func MScale(factor, weight float64) float64 { return 0.1*weight*math.Log(max(1, factor)) + 1 }

const (
	// bounds is how far from where the source begins and ends to stretch yarn may.
	bounds = 3
	// rounded is how far from a whole number a bound is written, so that no engine
	// rounds it to another.
	rounded = 0.25
)

// off is how far slots that s scales are from where source puts them, which has dim
// rotary dimensions of base theta: the sum of the squares of the differences, which is
// what they cost nearby.
func (s *Scaling) off(slots Slots, source *Scaling, theta float64, dim int) float64 {
	sum := 0.0
	unscaled := Frequencies(slots.Theta, slots.Dims)
	for m, nu := range s.Frequencies(slots.Theta, slots.Dims) {
		pair := -math.Log(unscaled[m]) * float64(dim) / (2 * math.Log(theta))
		kept := source.kept(pair, theta, dim)
		off := nu - unscaled[m]*(kept+(1-kept)/source.Factor)
		sum += off * off
	}
	return sum
}

// turns is how many times a slot, a real number, turns over Original before scaling.
func (s *Scaling) turns(slot float64, slots Slots) float64 {
	return nineDigits(s.Original / (2 * math.Pi) * math.Pow(slots.Theta, -2*slot/float64(slots.Dims)))
}
