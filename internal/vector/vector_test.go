package vector

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// places calls f with slices of every length up to some groups, at every alignment,
// drawn from a normal distribution of the given width, in the middle of more.
func places(t *testing.T, width float64, f func(t *testing.T, draw func() []float32)) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 1; n < 45; n++ {
		for at := range 9 {
			var all [][]float32
			f(t, func() []float32 {
				whole := make([]float32, n+at+9)
				for i := range whole {
					whole[i] = float32(rng.NormFloat64() * width)
				}
				all = append(all, whole)
				return whole[at : at+n : at+n]
			})
			if t.Failed() {
				t.Fatalf("%d numbers from %d on", n, at)
			}
		}
	}
}

// near fails unless got is want, relative to its size or to least.
func near(t *testing.T, what string, got, want, tolerance, least float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*max(math.Abs(want), least)) {
		t.Errorf("%s is %g, want %g", what, got, want)
	}
}

func TestSoftmax(t *testing.T) {
	places(t, 20, func(t *testing.T, draw func() []float32) {
		v := draw()
		want, sum, largest := make([]float64, len(v)), 0.0, math.Inf(-1)
		for _, x := range v {
			largest = max(largest, float64(x))
		}
		near(t, "the largest", float64(Max(v)), largest, 0, 1)
		for i, x := range v {
			want[i] = math.Exp(float64(x) - largest)
			sum += want[i]
		}
		Softmax(v)
		for i, x := range v {
			near(t, fmt.Sprintf("softmax[%d]", i), float64(x), want[i]/sum, 1e-5, 1e-30)
		}
	})
}

func TestGates(t *testing.T) {
	for name, gate := range map[string]struct {
		fast  func(g, up []float32)
		naive func(g float64) float64
	}{
		"SiLU": {SiLU, func(g float64) float64 { return g / (1 + math.Exp(-g)) }},
		"GELU": {GELU, func(g float64) float64 { return g * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(g+0.044715*g*g*g))) / 2 }},
	} {
		places(t, 4, func(t *testing.T, draw func() []float32) {
			g, up := draw(), draw()
			var want []float64
			for i, v := range g {
				want = append(want, gate.naive(float64(v))*float64(up[i]))
			}
			gate.fast(g, up)
			for i, v := range g {
				near(t, fmt.Sprintf("%s[%d]", name, i), float64(v), want[i], 2e-6, 1)
			}
		})
	}
}

// TestGatesBack holds the gradients of gates against central differences of the functions
// written out.
func TestGatesBack(t *testing.T) {
	for name, gate := range map[string]struct {
		fast  func(g, up, gradient []float32)
		naive func(g float64) float64
	}{
		"SiLU": {SiLUBack, func(g float64) float64 { return g / (1 + math.Exp(-g)) }},
		"GELU": {GELUBack, func(g float64) float64 { return g * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(g+0.044715*g*g*g))) / 2 }},
	} {
		places(t, 4, func(t *testing.T, draw func() []float32) {
			g, up, gradient := draw(), draw(), draw()
			g[0] = 0
			var wantG, wantUp []float64
			for i, v := range g {
				const h = 1e-4
				x, d := float64(v), float64(gradient[i])
				wantG = append(wantG, d*float64(up[i])*(gate.naive(x+h)-gate.naive(x-h))/(2*h))
				wantUp = append(wantUp, d*gate.naive(x))
			}
			gate.fast(g, up, gradient)
			for i := range g {
				near(t, fmt.Sprintf("%s[%d]", name, i), float64(g[i]), wantG[i], 1e-5, 1)
				near(t, fmt.Sprintf("%s up[%d]", name, i), float64(up[i]), wantUp[i], 1e-5, 1)
			}
		})
	}
}

func TestObserve(t *testing.T) {
	places(t, 1, func(t *testing.T, draw func() []float32) {
		sums, a, d := [][]float32{draw(), draw(), draw()}, draw(), draw()
		var want [3][]float64
		for i := range a {
			p, distance := float64(a[i]), max(0, float64(d[i]))
			for j, v := range []float64{p, p * p, p * p * distance} {
				want[j] = append(want[j], float64(sums[j][i])+v)
			}
		}
		Observe(sums[0], sums[1], sums[2], a, d)
		for j := range want {
			for i, v := range sums[j] {
				near(t, fmt.Sprintf("sum %d[%d]", j, i), float64(v), want[j][i], 1e-6, 1)
			}
		}
	})
}

func TestLogSums(t *testing.T) {
	places(t, 20, func(t *testing.T, draw func() []float32) {
		p, q := draw(), draw()
		P, Q := float64(Max(p)), float64(Max(q))+0.3
		var want Sums
		for i := range p {
			e := math.Exp(float64(p[i]) - P)
			want.ExpP += e
			want.Cross += e * (float64(p[i]) - float64(q[i]))
			want.ExpQ += math.Exp(float64(q[i]) - Q)
		}
		got := LogSums(p, q, P, Q)
		near(t, "Σ e^p", got.ExpP, want.ExpP, 1e-13, 0)
		near(t, "Σ e^p·(p − q)", got.Cross, want.Cross, 1e-13, 1)
		near(t, "Σ e^q", got.ExpQ, want.ExpQ, 1e-13, 0)
	})
}

// TestScale: it writes what it is given and nothing around it.
func TestScale(t *testing.T) {
	for n := range 45 {
		for at := range 9 {
			v := make([]float32, at+n+9)
			for i := range v {
				v[i] = float32(i)
			}
			Scale(v[at:at+n], 2)
			for i, got := range v {
				want := float32(i)
				if i >= at && i < at+n {
					want *= 2
				}
				if got != want {
					t.Fatalf("%d numbers from %d on: [%d] is %g, want %g", n, at, i, got, want)
				}
			}
		}
	}
}

// TestExp looks at both exponentials, in a kernel and in what follows it, over the whole
// range and beyond.
func TestExp(t *testing.T) {
	// expOf calls f in the place of a vector, and in the rest.
	expOf := func(x float32) []float32 {
		v := make([]float32, 9)
		for i := range v {
			v[i] = x
		}
		exponentials(v, 0)
		return []float32{v[0], v[8]}
	}
	for x := -100.0; x < 100; x += 0.0137 {
		for _, got := range expOf(float32(x)) {
			want := math.Exp(float64(float32(x)))
			switch {
			case x < -88 && got != 0, x > 88.8 && !math.IsInf(float64(got), 1):
				t.Fatalf("e^%g is %g", x, got)
			case x > -87.3 && x < 88.3 && math.Abs(float64(got)/want-1) > 2e-7:
				t.Fatalf("e^%g is %g, want %g", x, got, want)
			}
		}
		p := []float32{0, float32(8 * x), 0, 0, 0, 0, 0, 0}
		if got, want := LogSums(p, p, 0, 0).ExpP-7, math.Exp(float64(p[1])); x < 88 && math.Abs(got-want) > 1e-13*max(want, 1) {
			t.Fatalf("e^%g is %g, want %g", p[1], got, want)
		}
	}
	for x, want := range map[float64]float64{math.Inf(-1): 0, math.Inf(1): math.Inf(1), 0: 1} {
		for _, got := range expOf(float32(x)) {
			if float64(got) != want {
				t.Errorf("e^%g is %g", x, got)
			}
		}
	}
	nan := float32(math.NaN())
	for i := range 9 {
		v := make([]float32, 9)
		v[i] = nan
		Softmax(v)
		d, zero := make([]float32, 9), func() []float32 { return make([]float32, 9) }
		d[i] = nan
		far, g, up := zero(), zero(), []float32{1, 1, 1, 1, 1, 1, 1, 1, 1}
		Observe(zero(), zero(), far, up, d)
		g[i] = nan
		SiLU(g, up)
		p := zero()
		p[i] = nan
		if v[0] == v[0] || far[i] == far[i] || g[i] == g[i] || !math.IsNaN(LogSums(p, zero(), 0, 0).ExpP) {
			t.Errorf("NaN in place %d is lost", i)
		}
	}
}
