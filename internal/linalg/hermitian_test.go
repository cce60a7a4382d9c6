package linalg

import (
	"fmt"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// rotated returns the symmetric matrix a under a diagonal of random phases, D·A·Dᴴ,
// with a skew imaginary part where the rank allows one: D·(A + j·K)·Dᴴ.
func rotated(a *mat.SymDense, k float64, rng *rand.Rand) func(i, j int) complex128 {
	n := a.SymmetricDim()
	phase := make([]complex128, n)
	for i := range phase {
		phase[i] = cmplx.Rect(1, 7*rng.Float64())
	}
	skewed := noise(n*n, rng)
	return func(i, j int) complex128 {
		if j < i {
			panic("below the diagonal")
		}
		v := complex(a.At(i, j), 0)
		if i < j {
			v += complex(0, k*a.At(i, j)*skewed[i*n+j])
		}
		return phase[i] * v * cmplx.Conj(phase[j])
	}
}

// full writes h out as a matrix.
func full(n int, h func(i, j int) complex128) *mat.CDense {
	m := mat.NewCDense(n, n, nil)
	for i := range n {
		m.Set(i, i, complex(real(h(i, i)), 0))
		for j := i + 1; j < n; j++ {
			m.Set(i, j, h(i, j))
			m.Set(j, i, cmplx.Conj(h(i, j)))
		}
	}
	return m
}

// TestHermitianShapes holds TopHermitian against the real embedding for every
// shape, turned by phases and with an imaginary part.
func TestHermitianShapes(t *testing.T) {
	for name, shape := range shapes {
		for _, n := range []int{1, 2, 5, 33, 70, 97} {
			for _, k := range []float64{0, 1} {
				rng := rand.New(rand.NewPCG(uint64(n), 11))
				h := rotated(shape(n, rng), k, rng)
				t.Run(fmt.Sprint(name, " ", n, " ", k), func(t *testing.T) { holdHermitian(t, n, h) })
			}
		}
	}
}

func holdHermitian(t *testing.T, n int, h func(i, j int) complex128) {
	k := (n + 1) / 2
	e, err := TopHermitian(n, k, h)
	if err != nil {
		t.Fatal(err)
	}
	values, vectors := e.Values, e.Vectors
	slow, err := embeddedHermitian(n, 1, h)
	if err != nil {
		t.Fatal(err)
	}
	want := slow.Values
	norm := max(math.Abs(want[0]), math.Abs(want[n-1]))
	bound := 16 * float64(n) * unitRoundoff
	for i, v := range want {
		if !(math.Abs(values[i]-v) <= bound*norm) {
			t.Fatalf("value %d of %d is %g, want %g", i, n, values[i], v)
		}
	}
	m := full(n, h)
	for a, z := range vectors {
		for b := range a + 1 {
			var dot complex128
			for i := range z {
				dot += cmplx.Conj(vectors[b][i]) * z[i]
			}
			if a == b {
				dot--
			}
			if !(cmplx.Abs(dot) <= bound) {
				t.Fatalf("vectors %d and %d have product %v", a, b, dot)
			}
		}
		for i := range n {
			sum := complex(-values[a], 0) * z[i]
			for j := range n {
				sum += m.At(i, j) * z[j]
			}
			if !(cmplx.Abs(sum) <= bound*norm+1e-320) {
				t.Fatalf("residual %g of vector %d, norm %g", cmplx.Abs(sum), a, norm)
			}
		}
	}
}

// TestHermitianUnguarded makes sure that it is not the embedding that the test
// above has found right.
func TestHermitianUnguarded(t *testing.T) {
	for name, shape := range shapes {
		const n, k = 70, 20
		rng := rand.New(rand.NewPCG(n, 12))
		m := newHermitian(n, rotated(shape(n, rng), 1, rng))
		if _, err := rescale(m.re, m.im); err != nil {
			t.Fatal(err)
		}
		kept := originalHermitian{mirror(m.re), mirror(m.im)}
		tri, q := m.tridiagonalise()
		values, z, err := tri.top(k)
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(values)
		reverseColumns(z)
		both := q.apply(z)
		if !kept.confirms(values, both) {
			t.Errorf("%s: refused", name)
		}
		for i := range n { // of the length, so that every matrix minds
			both.Data[i*both.Stride+3] *= 1 + 1e-9
			both.Data[i*both.Stride+k+3] *= 1 + 1e-9
		}
		if kept.confirms(values, both) {
			t.Errorf("%s: took a wrong vector", name)
		}
	}
}

// TestHermitianValues asks for no vectors.
func TestHermitianValues(t *testing.T) {
	for _, n := range []int{1, 3, 70} {
		rng := rand.New(rand.NewPCG(1, 1))
		e, err := TopHermitian(n, 0, rotated(gram(n, n, 0, rng), 1, rng))
		values, vectors := e.Values, e.Vectors
		if len(values) != n || len(vectors) != 0 || err != nil {
			t.Errorf("%d values, %d vectors, %v", len(values), len(vectors), err)
		}
	}
}

func TestHermitianProcessors(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	const n, k = 300, 20
	h := rotated(gram(n, n, 0, rng), 1, rng)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var first [][]complex128
	for _, p := range []int{1, 2, 5} {
		runtime.GOMAXPROCS(p)
		e, err := TopHermitian(n, k, h)
		if err != nil {
			t.Fatal(err)
		}
		z := e.Vectors
		if first == nil {
			first = z
		}
		for c := range z {
			if !slices.Equal(z[c], first[c]) {
				t.Fatalf("vector %d is different on %d processors", c, p)
			}
		}
	}
}

func TestHermitianNotFinite(t *testing.T) {
	for _, bad := range []complex128{complex(math.NaN(), 0), complex(0, math.Inf(1))} {
		if _, err := TopHermitian(3, 1, func(i, j int) complex128 {
			return map[bool]complex128{true: bad}[i == 0 && j == 2]
		}); err == nil {
			t.Errorf("took %v", bad)
		}
	}
}
