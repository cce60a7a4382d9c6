package linalg

import (
	"fmt"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// spectra are eigenvalues that have given other programs trouble.
func spectra(n int) map[string][]float64 {
	fill := func(f func(i int) float64) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = f(i)
		}
		return v
	}
	return map[string][]float64{
		"zero":      fill(func(int) float64 { return 0 }),
		"identity":  fill(func(int) float64 { return 1 }),
		"falling":   fill(func(i int) float64 { return math.Pow(0.7, float64(i)) }),
		"two-fold":  fill(func(i int) float64 { return float64(n - i/2) }),
		"clustered": fill(func(i int) float64 { return 1 + float64(n-i)*1e-14 }),
		"rank one":  fill(func(i int) float64 { return map[bool]float64{true: 3}[i == 0] }),
		"tiny":      fill(func(i int) float64 { return 1e-300 * float64(n-i) }),
		"huge":      fill(func(i int) float64 { return 1e300 * float64(n-i) }),
		"mixed":     fill(func(i int) float64 { return float64(n/2 - i) }),
	}
}

// unitary returns a random unitary n×n matrix; a real one if real.
func unitary(n int, real bool, rng *rand.Rand) [][]complex128 {
	var columns [][]complex128
	for len(columns) < n {
		z := make([]complex128, n)
		for i := range z {
			z[i] = complex(rng.NormFloat64(), 0)
			if !real {
				z[i] += complex(0, rng.NormFloat64())
			}
		}
		for i := range z { // unit length first, as orthogonalise expects
			z[i] /= complex(math.Sqrt(float64(n)), 0)
		}
		if orthogonalise(z, columns) {
			columns = append(columns, z)
		}
	}
	return columns
}

// compose returns Σ λ_k u_k u_kᴴ.
func compose(values []float64, u [][]complex128) func(i, j int) complex128 {
	return func(i, j int) complex128 {
		var sum complex128
		for k, lambda := range values {
			sum += complex(lambda, 0) * u[k][i] * cmplx.Conj(u[k][j])
		}
		return sum
	}
}

func TestTopSym(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{1, 2, 3, 10, 33} {
		for name, want := range spectra(n) {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) {
				h := compose(want, unitary(n, true, rng))
				a := mat.NewSymDense(n, nil)
				for i := range n {
					for j := i; j < n; j++ {
						a.SetSym(i, j, real(h(i, j)))
					}
				}
				original := mat.NewSymDense(n, nil)
				original.CopySym(a)
				k := (n + 1) / 2
				e, err := TopSym(a, k)
				if err != nil {
					t.Fatal(err)
				}
				values, vectors := e.Values, e.Vectors
				scale := math.Max(math.Abs(want[0]), math.Abs(want[n-1]))
				tolerance := 1e-13 * float64(n) * scale
				for i := range values {
					if math.Abs(values[i]-want[i]) > tolerance {
						t.Errorf("value %d is %g, want %g", i, values[i], want[i])
					}
				}
				var gram, av mat.Dense
				gram.Mul(vectors.T(), vectors)
				av.Mul(original, vectors)
				for i := range k {
					for j := range k {
						if want := map[bool]float64{true: 1}[i == j]; math.Abs(gram.At(i, j)-want) > 1e-13*float64(n) {
							t.Errorf("vectors %d and %d have product %g", i, j, gram.At(i, j))
						}
					}
					for r := range n {
						if math.Abs(av.At(r, i)-values[i]*vectors.At(r, i)) > tolerance {
							t.Errorf("residual of vector %d", i)
						}
					}
				}
			})
		}
	}
}

func TestTopHermitian(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for _, n := range []int{1, 2, 3, 8, 21} {
		for name, want := range spectra(n) {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) {
				h := compose(want, unitary(n, false, rng))
				e, err := TopHermitian(n, n, h)
				if err != nil {
					t.Fatal(err)
				}
				values, vectors := e.Values, e.Vectors
				if len(vectors) != n {
					t.Fatalf("%d vectors", len(vectors))
				}
				scale := math.Max(math.Abs(want[0]), math.Abs(want[n-1]))
				tolerance := 1e-12 * float64(n) * scale
				for k, z := range vectors {
					if math.Abs(values[k]-want[k]) > tolerance {
						t.Errorf("value %d is %g, want %g", k, values[k], want[k])
					}
					for l, other := range vectors {
						var dot complex128
						for i := range z {
							dot += cmplx.Conj(z[i]) * other[i]
						}
						if want := map[bool]complex128{true: 1}[k == l]; cmplx.Abs(dot-want) > 1e-12 {
							t.Errorf("vectors %d and %d have product %v", k, l, dot)
						}
					}
					for i := range n {
						var sum complex128
						for j := range n {
							v := h(i, j)
							if j < i {
								v = cmplx.Conj(h(j, i))
							}
							sum += v * z[j]
						}
						if cmplx.Abs(sum-complex(values[k], 0)*z[i]) > tolerance {
							t.Errorf("residual of vector %d", k)
						}
					}
				}
			})
		}
	}
}

// TestPhase turns a matrix by a diagonal of phases: the eigenvectors turn with
// it, and their largest component stays real and positive.
func TestPhase(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	h := compose([]float64{4, 2, 1}, unitary(3, false, rng))
	e, err := TopHermitian(3, 2, h)
	if err != nil {
		t.Fatal(err)
	}
	vectors := e.Vectors
	twice, err := TopHermitian(3, 2, func(i, j int) complex128 { return 2 * h(i, j) })
	if err != nil {
		t.Fatal(err)
	}
	again, other := twice.Values, twice.Vectors
	for k, z := range vectors {
		for i := range z { // no phase of the solver's own is left
			if cmplx.Abs(z[i]-other[k][i]) > 1e-12 {
				t.Errorf("vector %d of value %g turned", k, again[k])
			}
		}
		largest := z[0]
		for _, v := range z {
			if cmplx.Abs(v) > cmplx.Abs(largest) {
				largest = v
			}
		}
		if real(largest) <= 0 || math.Abs(imag(largest)) > 1e-15 {
			t.Errorf("largest component %v", largest)
		}
	}
}

func TestNotFinite(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		a := mat.NewSymDense(3, []float64{1, 0, 0, 0, bad, 0, 0, 0, 1})
		if _, err := TopSym(a, 1); err == nil {
			t.Errorf("took %v", bad)
		}
		if _, err := ValuesSym(mat.NewSymDense(1, []float64{bad})); err == nil {
			t.Errorf("took %v", bad)
		}
	}
}
