package linalg

import (
	"math"
	"math/rand/v2"

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
