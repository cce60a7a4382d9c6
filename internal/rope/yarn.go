package rope

import "math"

// Yarn returns the scaling of type yarn (Peng et al. 2023) at which the slots of a
// rotary key turn most nearly as the source does, which has dim rotary dimensions of
// base theta, scaled by s. It returns nil where yarn has nothing to scale: if s is
// nil, of a type other than llama3 and yarn, or stretches nothing.
//
// Yarn is written in the form that all engines read alike in a model of that many
// positions, which is the form of DeepSeek-V3 itself (design §6, traps). Some engines
// compute the factor as positions over original positions, so the original ones are a
// whole number and the factor is made of it. Where mscale and mscale_all_dim are both
// 1, all engines multiply scores by (1 + ln(factor)/10)², which is Attention². Engines
// round the pairs at which yarn begins and ends to stretch to whole numbers. So the
// search is over whole numbers, and the turns written are ones that every engine
// rounds to them.
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

// MScale returns the mscale of the implementations of yarn for a factor and a weight:
// what queries and keys are multiplied by where positions are stretched by the factor
// (Peng et al. 2023, §3.4).
func MScale(factor, weight float64) float64 { return 0.1*weight*math.Log(max(1, factor)) + 1 }

const (
	// bounds is how many pairs away from where the source begins and ends to stretch
	// the search looks for where yarn had best begin and end.
	bounds = 3
	// rounded is how far from a whole number a bound is written, so that no engine
	// rounds it to another.
	rounded = 0.25
)

// off returns how far the frequencies of slots that s scales are from those to which
// the source scales them, which has dim rotary dimensions of base theta. It is the sum
// of the squares of the differences, which is what they cost at near distances.
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

// turns returns how many times a slot, given as a real number, turns over Original
// positions before scaling.
func (s *Scaling) turns(slot float64, slots Slots) float64 {
	return nineDigits(s.Original / (2 * math.Pi) * math.Pow(slots.Theta, -2*slot/float64(slots.Dims)))
}
