package linalg

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// shapes are families of symmetric matrices that have given eigensolvers trouble.
var shapes = map[string]func(n int, rng *rand.Rand) *mat.SymDense{
	"random": func(n int, rng *rand.Rand) *mat.SymDense {
		return symmetric(n, func(int, int) float64 { return rng.NormFloat64() })
	},
	"gram":          func(n int, rng *rand.Rand) *mat.SymDense { return gram(n, 2*n+1, 0, rng) },
	"graded gram":   func(n int, rng *rand.Rand) *mat.SymDense { return gram(n, n, 12, rng) },
	"rank n/3":      func(n int, rng *rand.Rand) *mat.SymDense { return gram(n, n/3+1, 0, rng) },
	"rank one":      func(n int, rng *rand.Rand) *mat.SymDense { return gram(n, 1, 0, rng) },
	"tiny":          func(n int, rng *rand.Rand) *mat.SymDense { return scaled(1e-200, gram(n, n, 0, rng)) },
	"tiniest":       func(n int, rng *rand.Rand) *mat.SymDense { return scaled(1e-300, gram(n, n, 0, rng)) },
	"huge":          func(n int, rng *rand.Rand) *mat.SymDense { return scaled(1e200, gram(n, n, 0, rng)) },
	"zero":          func(n int, _ *rand.Rand) *mat.SymDense { return mat.NewSymDense(n, nil) },
	"identity":      diagonalShape(func(int, int) float64 { return 1 }),
	"diagonal":      diagonalShape(func(i, n int) float64 { return float64((7*i)%n) - 3 }),
	"two values":    spectral(func(i, n int) float64 { return map[bool]float64{true: 2, false: 1}[i < n/2] }),
	"clusters":      spectral(func(i, n int) float64 { return float64(i%5) + 1e-13*float64(i) }),
	"near clusters": spectral(func(i, n int) float64 { return float64(i%7) + 1e-9*float64(i) }),
	"graded":        spectral(func(i, n int) float64 { return math.Pow(10, -12*float64(i)/float64(n)) }),
	"signs":         spectral(func(i, n int) float64 { return float64(1 - 2*(i%2)) }),
	"one large":     spectral(func(i, n int) float64 { return map[bool]float64{true: 1, false: 1e-13}[i == 0] }),
	"arrow": func(n int, rng *rand.Rand) *mat.SymDense {
		return symmetric(n, func(i, j int) float64 {
			return map[bool]float64{true: 1 + float64(j)/7}[i == 0 || i == j]
		})
	},
	"tridiagonal": func(n int, _ *rand.Rand) *mat.SymDense { return banded(n, func(int) float64 { return 2 }, -1) },
	"wilkinson": func(n int, _ *rand.Rand) *mat.SymDense {
		return banded(n, func(i int) float64 { return math.Abs(float64(n-1)/2 - float64(i)) }, 1)
	},
	"glued wilkinson": func(n int, _ *rand.Rand) *mat.SymDense {
		a := banded(n, func(i int) float64 { return math.Abs(10 - float64(i%21)) }, 1)
		for i := 20; i+1 < n; i += 21 {
			a.SetSym(i, i+1, 1e-12)
		}
		return a
	},
	"blocks": func(n int, rng *rand.Rand) *mat.SymDense {
		return symmetric(n, func(i, j int) float64 {
			return map[bool]float64{true: rng.NormFloat64()}[i/9 == j/9]
		})
	},
	"ones": func(n int, _ *rand.Rand) *mat.SymDense {
		return symmetric(n, func(int, int) float64 { return 1 })
	},
}

func symmetric(n int, f func(i, j int) float64) *mat.SymDense {
	a := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			a.SetSym(i, j, f(i, j))
		}
	}
	return a
}

// gram returns X·Xᵀ for a random X, [n × d], whose columns fall off by the given
// number of decimal orders.
func gram(n, d int, orders float64, rng *rand.Rand) *mat.SymDense {
	x := mat.NewDense(n, d, noise(n*d, rng))
	x.Apply(func(_, j int, v float64) float64 {
		return v * math.Pow(10, -orders/2*float64(j)/float64(d))
	}, x)
	a := mat.NewSymDense(n, nil)
	a.SymOuterK(1/float64(d), x)
	return a
}

func scaled(f float64, a *mat.SymDense) *mat.SymDense {
	a.ScaleSym(f, a)
	return a
}

func banded(n int, diagonal func(i int) float64, beside float64) *mat.SymDense {
	return symmetric(n, func(i, j int) float64 {
		switch j - i {
		case 0:
			return diagonal(i)
		case 1:
			return beside
		}
		return 0
	})
}

func diagonalShape(f func(i, n int) float64) func(int, *rand.Rand) *mat.SymDense {
	return func(n int, _ *rand.Rand) *mat.SymDense {
		return banded(n, func(i int) float64 { return f(i, n) }, 0)
	}
}

// spectral returns matrices with the given eigenvalues and random eigenvectors.
func spectral(f func(i, n int) float64) func(int, *rand.Rand) *mat.SymDense {
	return func(n int, rng *rand.Rand) *mat.SymDense {
		var qr mat.QR
		var q, b mat.Dense
		qr.Factorize(mat.NewDense(n, n, noise(n*n, rng)))
		qr.QTo(&q)
		b.Apply(func(_, j int, v float64) float64 { return v * f(j, n) }, &q)
		b.Mul(&b, q.T())
		return symmetric(n, func(i, j int) float64 { return (b.At(i, j) + b.At(j, i)) / 2 })
	}
}

// forShapes calls f for every shape at many orders.
func forShapes(t *testing.T, f func(t *testing.T, n int, a *mat.SymDense)) {
	orders := []int{1, 2, 3, 31, 33, 49, 64, 65, 97, 130, 201, 300}
	if testing.Short() {
		orders = []int{3, 49, 97}
	}
	for name, shape := range shapes {
		for _, n := range orders {
			rng := rand.New(rand.NewPCG(uint64(n), 9))
			t.Run(fmt.Sprint(name, " ", n), func(t *testing.T) { f(t, n, shape(n, rng)) })
		}
	}
}

// TestBlocked holds values, residual and orthogonality of the blocked algorithm,
// alone and without the check that guards it, against gonum's.
func TestBlocked(t *testing.T) {
	forShapes(t, func(t *testing.T, n int, a *mat.SymDense) {
		if _, err := rescale(a.RawSymmetric()); err != nil {
			t.Fatal(err)
		}
		want, _, err := topDirect(copyOf(a), 0)
		if err != nil {
			t.Fatal(err)
		}
		norm := max(math.Abs(want[0]), math.Abs(want[n-1]))
		bound := 8 * float64(n) * unitRoundoff
		for _, k := range []int{1, (n + 3) / 4, n} {
			work := copyOf(a)
			kept := mirror(work.RawSymmetric())
			values, vectors := topBlocked(work.RawSymmetric(), k)
			for i := range want {
				if !(math.Abs(values[i]-want[i]) <= bound*norm) {
					t.Fatalf("value %d of %d is %g, want %g", i, n, values[i], want[i])
				}
			}
			if off := residual(a, values, vectors); !(off <= bound*norm) {
				t.Errorf("k = %d: residual %g of %g", k, off/bound, norm)
			}
			if off := skew(vectors); !(off <= bound) {
				t.Errorf("k = %d: off orthogonality by %g", k, off)
			}
			if !kept.confirms(values, vectors.RawMatrix()) {
				t.Errorf("k = %d: check fails", k)
			}
			kept.restore()
			if !mat.Equal(work, a) {
				t.Error("not restored")
			}
		}
	})
}

// TestGuarded holds the exported functions, with scaling and checks, at any norm.
func TestGuarded(t *testing.T) {
	forShapes(t, func(t *testing.T, n int, a *mat.SymDense) {
		k := (n + 1) / 2
		values, vectors, err := TopSym(copyOf(a), k)
		if err != nil {
			t.Fatal(err)
		}
		alone, err := ValuesSym(copyOf(a))
		if err != nil {
			t.Fatal(err)
		}
		bound := 8 * float64(n) * unitRoundoff
		norm := max(math.Abs(values[0]), math.Abs(values[n-1]))
		for i, v := range values {
			if !(math.Abs(v-alone[i]) <= bound*norm) {
				t.Errorf("value %d is %g and %g", i, v, alone[i])
			}
		}
		if !slices.IsSortedFunc(values, func(a, b float64) int { return int(math.Copysign(1, b-a)) }) && norm > 0 {
			t.Error("values are not sorted")
		}
		if off := residual(a, values, vectors); !(off <= bound*norm+1e-320) {
			t.Errorf("residual %g of %g", off, norm)
		}
		if off := skew(vectors); !(off <= bound) {
			t.Errorf("off orthogonality by %g", off)
		}
	})
}

func copyOf(a *mat.SymDense) *mat.SymDense {
	b := mat.NewSymDense(a.SymmetricDim(), nil)
	b.CopySym(a)
	return b
}

// residual returns the largest element of A·Z − Z·Λ.
func residual(a *mat.SymDense, values []float64, z *mat.Dense) float64 {
	var az mat.Dense
	az.Mul(a, z)
	off := 0.0
	r, c := z.Dims()
	for i := range r {
		for j := range c {
			off = max(off, math.Abs(az.At(i, j)-values[j]*z.At(i, j)))
		}
	}
	return off
}

// skew returns the largest element of ZᵀZ − I.
func skew(z *mat.Dense) float64 {
	var g mat.Dense
	g.Mul(z.T(), z)
	off := 0.0
	c, _ := g.Dims()
	for i := range c {
		g.Set(i, i, g.At(i, i)-1)
		for j := range c {
			off = max(off, math.Abs(g.At(i, j)))
		}
	}
	return off
}

// TestCheckNotices spoils results that the check has to refuse.
func TestCheckNotices(t *testing.T) {
	a := gram(100, 200, 0, rand.New(rand.NewPCG(3, 3)))
	kept := mirror(a.RawSymmetric())
	values, vectors := topBlocked(a.RawSymmetric(), 20)
	for name, spoil := range map[string]func(values []float64, z *mat.Dense){
		"vector":   func(_ []float64, z *mat.Dense) { z.Set(3, 4, z.At(3, 4)+1e-9) },
		"value":    func(values []float64, _ *mat.Dense) { values[7] *= 1 + 1e-9 },
		"NaN":      func(_ []float64, z *mat.Dense) { z.Set(0, 0, math.NaN()) },
		"swapped":  func(values []float64, _ *mat.Dense) { values[1], values[2] = values[2], values[1] },
		"repeated": func(_ []float64, z *mat.Dense) { z.Slice(0, 100, 0, 1).(*mat.Dense).Copy(z.Slice(0, 100, 1, 2)) },
	} {
		v, z := slices.Clone(values), mat.DenseCopyOf(vectors)
		spoil(v, z)
		if kept.confirms(v, z.RawMatrix()) {
			t.Errorf("took a wrong %s", name)
		}
	}
}

// TestProcessors: results are the same bits on any number of them.
func TestProcessors(t *testing.T) {
	a := gram(400, 500, 0, rand.New(rand.NewPCG(4, 4)))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var first *mat.Dense
	var values []float64
	for _, p := range []int{1, 2, 3, 8} {
		runtime.GOMAXPROCS(p)
		v, z, err := TopSym(copyOf(a), 100)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first, values = z, v
		}
		if !mat.Equal(z, first) || !slices.Equal(v, values) {
			t.Errorf("different on %d processors", p)
		}
	}
}

// BenchmarkEigen compares the top quarter of a Gram matrix with gonum's algorithm.
func BenchmarkEigen(b *testing.B) {
	for _, n := range []int{48, 64, 96, 128, 256, 1024, 1792, 2048} {
		a := gram(n, 2*n, 0, rand.New(rand.NewPCG(5, 5)))
		b.Run(fmt.Sprintf("%d/top", n), func(b *testing.B) {
			for b.Loop() {
				if _, _, err := TopSym(copyOf(a), n/4); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%d/values", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := ValuesSym(copyOf(a)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%d/gonum", n), func(b *testing.B) {
			for b.Loop() {
				var eig mat.EigenSym
				eig.Factorize(copyOf(a), true)
			}
		})
	}
}
