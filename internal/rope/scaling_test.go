package rope

import (
	"math"
	"slices"
	"testing"
)

// TestScaling holds frequencies against their definition,
// llama3 with the factors of Llama 3.1 for heads of 128 at base 500000.
func TestScaling(t *testing.T) {
	llama3 := &Scaling{Kind: "llama3", Factor: 8, Original: 8192, Low: 1, High: 4}
	plain, scaled := Frequencies(500000, 128), llama3.Frequencies(500000, 128)
	if scaled[0] != 1 || math.Abs(scaled[63]-plain[63]/8) > 1e-15 {
		t.Errorf("the ends turn at %g and %g", scaled[0], scaled[63])
	}
	for i, omega := range plain { // the definition, wavelength by wavelength
		wavelength, want := 2*math.Pi/omega, omega
		if wavelength > 8192 {
			want = omega / 8
		} else if wavelength > 2048 {
			smooth := (8192/wavelength - 1) / 3
			want = (1-smooth)*omega/8 + smooth*omega
		}
		if math.Abs(scaled[i]-want) > 1e-15 {
			t.Errorf("pair %d turns at %g, want %g", i, scaled[i], want)
		}
	}
	linear := (&Scaling{Kind: "linear", Factor: 4}).Frequencies(10000, 8)
	for i, omega := range Frequencies(10000, 8) {
		if linear[i] != omega/4 {
			t.Errorf("pair %d turns at %g", i, linear[i])
		}
	}
	if !slices.Equal((*Scaling)(nil).Frequencies(10000, 8), Frequencies(10000, 8)) {
		t.Error("no scaling changes something")
	}
}

// yarnFrequency is the frequency of pair i as the implementations of yarn publish
// it, word by word: those of Peng et al., as Transformers, vLLM and SGLang have it.
func yarnFrequency(i int, base float64, dim int, factor, betaFast, betaSlow, original float64) float64 {
	correctionDim := func(rotations float64) float64 {
		return (float64(dim) * math.Log(original/(rotations*2*math.Pi))) / (2 * math.Log(base))
	}
	low, high := math.Floor(correctionDim(betaFast)), math.Ceil(correctionDim(betaSlow))
	low, high = math.Max(low, 0), math.Min(high, float64(dim)-1)
	if low == high {
		high += 0.001
	}
	ramp := math.Max(0, math.Min(1, (float64(i)-low)/(high-low)))
	positional := math.Pow(base, 2*float64(i)/float64(dim))
	extrapolation, interpolation := 1/positional, 1/(factor*positional)
	mask := 1 - ramp
	return interpolation*(1-mask) + extrapolation*mask
}

// TestYarn: the scaling that takes the place of another is what engines publish as
// yarn, in the form that all read alike, and turns as the source does.
func TestYarn(t *testing.T) {
	llama := Scaling{Kind: "llama3", Factor: 8, Original: 8192, Low: 1, High: 4}
	for name, c := range map[string]struct {
		source    Scaling
		theta     float64
		dim       int
		slots     Slots
		positions int
		off       float64 // most that a frequency is off
	}{
		"Llama 3.1":             {llama, 500000, 128, Slots{Dims: 128, Theta: 500000}, 131072, 7e-4},
		"Llama 3.1, half":       {llama, 500000, 128, Slots{Dims: 64, Theta: 500000}, 131072, 7e-4},
		"Llama 3.1, fast":       {llama, 500000, 128, Slots{Dims: 64, Theta: 30000}, 131072, 7e-4},
		"Llama 3.2":             {Scaling{Kind: "llama3", Factor: 32, Original: 8192, Low: 1, High: 4}, 500000, 64, Slots{Dims: 64, Theta: 500000}, 131072, 7e-4},
		"positions that do not": {Scaling{Kind: "llama3", Factor: 8, Original: 64, Low: 1, High: 4}, 10000, 128, Slots{Dims: 128, Theta: 10000}, 250, 0.015},
		"Qwen2.5":               {Scaling{Kind: "yarn", Factor: 4, Original: 32768, Low: 1, High: 32, Attention: 1.1386}, 1e6, 128, Slots{Dims: 128, Theta: 1e6}, 131072, 1e-12},
		"DeepSeek-V3":           {Scaling{Kind: "yarn", Factor: 40, Original: 4096, Low: 1, High: 32}, 10000, 64, Slots{Dims: 64, Theta: 10000}, 163840, 1e-12},
	} {
		t.Run(name, func(t *testing.T) {
			y := c.source.Yarn(c.theta, c.dim, c.slots, c.positions)
			if y.Factor*y.Original != float64(c.positions) || y.Original != math.Trunc(y.Original) || math.Abs(y.Factor/c.source.Factor-1) > 0.05 {
				t.Errorf("%+v", y)
			}
			if math.Abs(y.Attention-(1+0.1*math.Log(y.Factor))) > 1e-15 || !(0 < y.Low && y.Low < y.High) {
				t.Errorf("%+v", y)
			}
			for m, got := range y.Frequencies(c.slots.Theta, c.slots.Dims) {
				if want := yarnFrequency(m, c.slots.Theta, c.slots.Dims, y.Factor, y.High, y.Low, y.Original); math.Abs(got/want-1) > 1e-14 {
					t.Errorf("slot %d turns at %g, published is %g", m, got, want)
				}
				i := float64(m) * 2 * math.Log(c.slots.Theta) / float64(c.slots.Dims) // −ln of what the source scales
				kept := c.source.kept(i*float64(c.dim)/2/math.Log(c.theta), c.theta, c.dim)
				want := math.Exp(-i) * (kept + (1-kept)/c.source.Factor)
				if off := math.Abs(got - want); off > c.off {
					t.Errorf("slot %d turns at %g, the source would at %g: off by %.2g", m, got, want, off)
				}
			}
			for _, bound := range []float64{y.High, y.Low} {
				at := y.pair(bound, c.slots.Theta, c.slots.Dims)
				if from := at - math.Floor(at); from < 0.2 || from > 0.8 {
					t.Errorf("the bound %g is at slot %g, which engines may round differently", bound, at)
				}
			}
		})
	}
	for _, s := range []*Scaling{nil, {Kind: "linear", Factor: 4}, {Kind: "llama3", Factor: 1, Original: 64, Low: 1, High: 4}, {Kind: "llama3", Factor: 999, Original: 64, Low: 1, High: 4}} {
		if y := s.Yarn(10000, 16, Slots{Dims: 16, Theta: 10000}, 256); y != nil {
			t.Errorf("%+v becomes %+v", s, y)
		}
	}
	if y := llama.Yarn(500000, 128, Slots{Dims: 4, Theta: 2}, 131072); y != nil { // all of whose slots are fast
		t.Errorf("nothing to scale, and it becomes %+v", y)
	}
}

// TestYarnOfDeepSeek: DeepSeek-V3 goes over from what is kept to what is stretched
// between pairs 10 and 23.
func TestYarnOfDeepSeek(t *testing.T) {
	s := &Scaling{Kind: "yarn", Factor: 40, Original: 4096, Low: 1, High: 32}
	for i, want := range map[float64]float64{0: 1, 10: 1, 11: 12. / 13, 22: 1. / 13, 23: 0, 31: 0} {
		if got := s.kept(i, 10000, 64); math.Abs(got-want) > 1e-12 {
			t.Errorf("of pair %g %g is kept, not %g", i, got, want)
		}
	}
}

// TestBasesFor: frequencies that follow from a base have its candidates alone;
// scaled ones also those of the base that reaches as far.
func TestBasesFor(t *testing.T) {
	if got, want := BasesFor(10000, Frequencies(10000, 64), 32), Bases(10000, 64, 32); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	s := &Scaling{Kind: "llama3", Factor: 8, Original: 8192, Low: 1, High: 4}
	bases := BasesFor(500000, s.Frequencies(500000, 128), 128)
	reaches := slices.ContainsFunc(bases, func(b float64) bool {
		last := Frequencies(b, 128)[63]
		return math.Abs(last/s.Frequencies(500000, 128)[63]-1) < 1e-6
	})
	if !reaches || !slices.Contains(bases, 500000) {
		t.Errorf("bases %v", bases)
	}
}
