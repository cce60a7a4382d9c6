package quant

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// kinds are vectors of n numbers of every sort.
var kinds = map[string]func(n int, rng *rand.Rand) []float32{
	"normal":    fill(func(_ int, rng *rand.Rand) float64 { return rng.NormFloat64() }),
	"uniform":   fill(func(_ int, rng *rand.Rand) float64 { return rng.Float64() }),
	"far off":   fill(func(_ int, rng *rand.Rand) float64 { return 3 + rng.NormFloat64() }),
	"outlier":   fill(func(i int, rng *rand.Rand) float64 { return rng.NormFloat64() + 50*float64((i+1)%40/39) }),
	"zeros":     fill(func(int, *rand.Rand) float64 { return 0 }),
	"constant":  fill(func(int, *rand.Rand) float64 { return -7.25 }),
	"two":       fill(func(i int, _ *rand.Rand) float64 { return float64(i % 2) }),
	"tiny":      fill(func(_ int, rng *rand.Rand) float64 { return 1e-38 * rng.NormFloat64() }),
	"denormal":  fill(func(i int, _ *rand.Rand) float64 { return float64(i) * math.SmallestNonzeroFloat32 }),
	"huge":      fill(func(_ int, rng *rand.Rand) float64 { return 3e38 * (2*rng.Float64() - 1) }),
	"ascending": fill(func(i int, _ *rand.Rand) float64 { return float64(i) }),
}

func fill(f func(i int, rng *rand.Rand) float64) func(int, *rand.Rand) []float32 {
	return func(n int, rng *rand.Rand) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(f(i, rng))
		}
		return v
	}
}

// TestErrorBound: no number moves further than the clipping that the solver may
// trade for it, and the rounding of the parameters.
func TestErrorBound(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for kind, make := range kinds {
		for _, bits := range []int{1, 2, 4, 8} {
			for _, n := range []int{1, 2, 7, 64, 65, 96, 131, 512} {
				t.Run(fmt.Sprint(kind, bits, n), func(t *testing.T) {
					v := make(n, rng)
					low, high := bounds(v)
					got := slices.Clone(v)
					Scheme{bits, DefaultGroup}.Round(got)
					step := (high - low) / (math.Exp2(float64(bits)) - 1)
					bound := 1.5*step + 2e-3*math.Max(math.Abs(low), math.Abs(high)) + 2*math.SmallestNonzeroFloat32
					for i := range v {
						if off := math.Abs(float64(got[i]) - float64(v[i])); !(off <= bound) {
							t.Fatalf("%g became %g: off by %g, bound %g", v[i], got[i], off, bound)
						}
					}
				})
			}
		}
	}
}

// TestNearlyLossless: eight bits leave less than 1 % of the deviation.
func TestNearlyLossless(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, kind := range []string{"normal", "uniform", "tiny", "huge", "two"} {
		v := kinds[kind](4096, rng)
		got := slices.Clone(v)
		Scheme{8, DefaultGroup}.Round(got)
		off, all := 0.0, 0.0
		for i := range v {
			off += math.Pow(float64(got[i])/1e30-float64(v[i])/1e30, 2)
			all += math.Pow(float64(v[i])/1e30, 2)
		}
		if off > 1e-4*all {
			t.Errorf("%s: relative error %g", kind, math.Sqrt(off/all))
		}
	}
}

// TestSolver: the half-quadratic offset is nowhere worse than the one from the
// bounds, in its own norm, and on normal numbers better on the whole.
func TestSolver(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, bits := range []float64{2, 4} {
		before, after := 0.0, 0.0
		for kind, make := range kinds {
			for range 50 {
				v := make(64, rng)
				low, high := bounds(v)
				a := affine{step: half((high - low) / (math.Exp2(bits) - 1)), offset: half(low), most: math.Exp2(bits) - 1}
				if a.step == 0 {
					continue
				}
				x, y := a.loss(v), a.refined(v).loss(v)
				if y > x {
					t.Fatalf("%s: loss %g, from the bounds %g", kind, y, x)
				}
				if kind == "normal" {
					before, after = before+x, after+y
				}
			}
		}
		if after >= before {
			t.Errorf("%v bits: loss %g, from the bounds %g", bits, after, before)
		}
	}
}

// TestUnit: what is kept does not depend on the unit of the numbers.
func TestUnit(t *testing.T) {
	v := kinds["normal"](64, rand.New(rand.NewPCG(7, 8)))
	want := slices.Clone(v)
	Scheme{4, DefaultGroup}.Round(want)
	for _, unit := range []float32{1. / (1 << 40), 1 << 40} {
		got := slices.Clone(v)
		for i := range got {
			got[i] *= unit
		}
		Scheme{4, DefaultGroup}.Round(got)
		for i := range got {
			if got[i] != want[i]*unit {
				t.Fatalf("unit %g: %g became %g, want %g", unit, v[i]*unit, got[i], want[i]*unit)
			}
		}
	}
}

func TestNotFinite(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		v := []float32{1, 2, float32(bad), 4}
		Scheme{2, DefaultGroup}.Round(v)
		if v[0] != 1 || v[1] != 2 || v[3] != 4 || !(v[2] != v[2] || math.IsInf(float64(v[2]), 0)) {
			t.Errorf("%v: %v", bad, v)
		}
	}
	Scheme{4, DefaultGroup}.Round(nil)
}

func TestSizes(t *testing.T) {
	for _, c := range []struct{ bits, n, codes, stored int }{
		{4, 64, 256, 288},
		{4, 65, 260, 324}, // two groups, of 32 and 33
		{8, 8, 64, 96},
		{2, 512, 1024, 1280},
		{4, 0, 0, 0},
	} {
		s := Scheme{c.bits, DefaultGroup}
		if s.CodeBits(c.n) != c.codes || s.StoredBits(c.n) != c.stored {
			t.Errorf("%d numbers of %d bits: %d and %d, want %d and %d", c.n, c.bits, s.CodeBits(c.n), s.StoredBits(c.n), c.codes, c.stored)
		}
	}
}
