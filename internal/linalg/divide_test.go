package linalg

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// tridiagonals are matrices on which divide and conquer deflates much, little, or
// in odd ways.
var tridiagonals = map[string]func(n int, rng *rand.Rand) tridiagonal{
	"random": func(n int, rng *rand.Rand) tridiagonal { return tridiagonal{noise(n, rng), noise(n-1, rng)} },
	"zero":   func(n int, _ *rand.Rand) tridiagonal { return tridiagonal{make([]float64, n), make([]float64, n-1)} },
	"apart": func(n int, rng *rand.Rand) tridiagonal {
		return tridiagonal{noise(n, rng), make([]float64, n-1)}
	},
	"-1 2 -1": func(n int, _ *rand.Rand) tridiagonal {
		return tridiagonal{slices.Repeat([]float64{2}, n), slices.Repeat([]float64{-1}, n-1)}
	},
	"no diagonal": func(n int, rng *rand.Rand) tridiagonal { return tridiagonal{make([]float64, n), noise(n-1, rng)} },
	"clement": func(n int, _ *rand.Rand) tridiagonal {
		t := tridiagonal{make([]float64, n), make([]float64, n-1)}
		for i := range t.beside {
			t.beside[i] = math.Sqrt(float64((i + 1) * (n - 1 - i)))
		}
		return t
	},
	"graded": func(n int, rng *rand.Rand) tridiagonal {
		t := tridiagonal{noise(n, rng), noise(n-1, rng)}
		for i := range t.beside {
			f := math.Pow(10, -30*float64(i)/float64(n))
			t.diagonal[i] *= f
			t.beside[i] *= f
		}
		return t
	},
	"graded upwards": func(n int, rng *rand.Rand) tridiagonal {
		t := tridiagonal{noise(n, rng), noise(n-1, rng)}
		for i := range t.beside {
			f := math.Pow(10, -30*float64(n-i)/float64(n))
			t.diagonal[i] *= f
			t.beside[i] *= f
		}
		return t
	},
	"weakly coupled": func(n int, rng *rand.Rand) tridiagonal {
		t := tridiagonal{noise(n, rng), noise(n-1, rng)}
		for i := range t.beside {
			t.beside[i] *= math.Pow(10, -17*rng.Float64())
		}
		return t
	},
	"wilkinson": func(n int, _ *rand.Rand) tridiagonal {
		t := tridiagonal{make([]float64, n), slices.Repeat([]float64{1}, n-1)}
		for i := range t.diagonal {
			t.diagonal[i] = math.Abs(float64(n-1)/2 - float64(i))
		}
		return t
	},
	"glued": func(n int, _ *rand.Rand) tridiagonal {
		t := tridiagonal{make([]float64, n), slices.Repeat([]float64{1}, n-1)}
		for i := range t.diagonal {
			t.diagonal[i] = math.Abs(10 - float64(i%21))
			if i%21 == 20 && i < n-1 {
				t.beside[i] = 1e-14
			}
		}
		return t
	},
}

// TestDivide holds residual and orthogonality of the vectors and the values
// against implicit QR, at orders around the powers of the leaf's.
func TestDivide(t *testing.T) {
	orders := []int{1, 2, 32, 33, 63, 64, 65, 66, 129, 257, 501}
	if testing.Short() {
		orders = []int{33, 129}
	}
	for name, shape := range tridiagonals {
		for _, n := range orders {
			for _, k := range []int{1, (n + 1) / 2, n} {
				t.Run(fmt.Sprint(name, " ", n, " ", k), func(t *testing.T) {
					holdDivide(t, shape(n, rand.New(rand.NewPCG(uint64(n), 13))), k)
				})
			}
		}
	}
}

func holdDivide(t *testing.T, m tridiagonal, k int) {
	n := len(m.diagonal)
	clone := func() tridiagonal { return tridiagonal{slices.Clone(m.diagonal), slices.Clone(m.beside)} }
	values, z, err := clone().top(k)
	if err != nil {
		t.Fatal(err)
	}
	want, err := clone().values()
	if err != nil {
		t.Fatal(err)
	}
	norm := max(math.Abs(want[0]), math.Abs(want[n-1]))
	bound := 4 * float64(n) * unitRoundoff
	if !slices.IsSorted(values) {
		t.Error("values are not sorted")
	}
	for i, v := range want {
		if !(math.Abs(values[i]-v) <= bound*norm) {
			t.Fatalf("value %d is %g, want %g", i, values[i], v)
		}
	}
	at := func(i, c int) float64 {
		if i < 0 || i >= n {
			return 0
		}
		return z.Data[i*z.Stride+c]
	}
	beside := slices.Concat([]float64{0}, m.beside, []float64{0})
	for c := range k {
		for i := range n {
			off := beside[i]*at(i-1, c) + m.diagonal[i]*at(i, c) + beside[i+1]*at(i+1, c) - values[n-k+c]*at(i, c)
			if !(math.Abs(off) <= bound*norm) {
				t.Fatalf("residual %g of vector %d, norm %g", off, c, norm)
			}
		}
	}
	if off := skew(dense(z)); !(off <= bound) {
		t.Errorf("off orthogonality by %g", off)
	}
}

// TestSecular holds the roots to their brackets, and f to the size of its rounding
// there, over weights and gaps of many orders of magnitude.
func TestSecular(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 14))
		n := 1 + rng.IntN(60)
		pole, weight := make([]float64, n), make([]float64, n)
		for i := range pole {
			if i > 0 {
				pole[i] = pole[i-1]
			}
			pole[i] += math.Pow(10, -12*rng.Float64()*float64(seed%2))
			weight[i] = math.Pow(10, -24*rng.Float64()*float64(seed%3)/2)
		}
		s := newSecular(pole, weight)
		for j := range n {
			r := s.root(j)
			if s.distance(j, r) >= 0 || j+1 < n && s.distance(j+1, r) <= 0 {
				t.Fatalf("seed %d: root %d of %d is not between its poles", seed, j, n)
			}
			if n == 1 {
				continue
			}
			v := s.at(r, min(j, n-2))
			rounding := 1 + math.Abs(v.below) + math.Abs(v.above) + math.Abs(r.offset)*(v.dbelow+v.dabove)
			if !(math.Abs(v.f) <= 8*unitRoundoff*rounding) {
				t.Errorf("seed %d: f is %g at root %d of %d, rounding %g", seed, v.f, j, n, unitRoundoff*rounding)
			}
		}
	}
}
