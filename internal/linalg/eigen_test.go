package linalg

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

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

var reductions = map[string]reduction{"at once": atOnce, "in two stages": inTwoStages}

// TestBlocked holds values, residual and orthogonality of the blocked algorithm,
// alone and without the check that guards it, against gonum's.
func TestBlocked(t *testing.T) {
	for name, reduce := range reductions {
		t.Run(name, func(t *testing.T) {
			forShapes(t, func(t *testing.T, n int, a *mat.SymDense) { tryBlocked(t, n, a, reduce) })
		})
	}
}

// tryBlocked does so for one matrix.
func tryBlocked(t *testing.T, n int, a *mat.SymDense, reduce reduction) {
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
		tri, q := reduce(work.RawSymmetric())
		values, vectors := tri.topOf(q, k)
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
}

// TestLarge holds an order that is reduced in two stages by choice.
func TestLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	const n, k = 2100, 40
	a := gram(n, n, 3, rand.New(rand.NewPCG(8, 8)))
	e, err := TopSym(copyOf(a), k)
	if err != nil || e.Fallback {
		t.Fatal(err, e.Fallback)
	}
	alone, err := ValuesSym(copyOf(a))
	if err != nil {
		t.Fatal(err)
	}
	bound := 8 * float64(n) * unitRoundoff
	for i, v := range e.Values {
		if !(math.Abs(v-alone[i]) <= bound*e.Values[0]) {
			t.Errorf("value %d is %g and %g", i, v, alone[i])
		}
	}
	if off := residual(a, e.Values, e.Vectors); !(off <= bound*e.Values[0]) {
		t.Errorf("residual %g of %g", off, e.Values[0])
	}
	if off := skew(e.Vectors); !(off <= bound) {
		t.Errorf("off orthogonality by %g", off)
	}
}

// TestGuarded holds the exported functions, with scaling and checks, at any norm.
func TestGuarded(t *testing.T) {
	forShapes(t, func(t *testing.T, n int, a *mat.SymDense) {
		k := (n + 1) / 2
		e, err := TopSym(copyOf(a), k)
		if err != nil {
			t.Fatal(err)
		}
		values, vectors := e.Values, e.Vectors
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
	for name, reduce := range reductions {
		var first *mat.Dense
		var values []float64
		for _, p := range []int{1, 2, 3, 8} {
			runtime.GOMAXPROCS(p)
			tri, q := reduce(copyOf(a).RawSymmetric())
			v, z := tri.topOf(q, 100)
			if first == nil {
				first, values = z, v
			}
			if !mat.Equal(z, first) || !slices.Equal(v, values) {
				t.Errorf("%s: different on %d processors", name, p)
			}
		}
	}
}

// TestFallback: whatever a fast algorithm gets wrong, the result is right, and
// says that it was late.
func TestFallback(t *testing.T) {
	const n, k = 80, 20
	a := gram(n, 100, 0, rand.New(rand.NewPCG(3, 3)))
	right, err := TopSym(copyOf(a), k)
	if err != nil || right.Fallback {
		t.Fatal("the fast algorithm fails by itself: ", err)
	}
	wrongs := map[string]func(values []float64, z *mat.Dense) ([]float64, *mat.Dense){
		"nothing":           func([]float64, *mat.Dense) ([]float64, *mat.Dense) { return nil, nil },
		"NaN":               func(v []float64, z *mat.Dense) ([]float64, *mat.Dense) { z.Set(3, 3, math.NaN()); return v, z },
		"a wrong value":     func(v []float64, z *mat.Dense) ([]float64, *mat.Dense) { v[n-1] += 1e-6 * v[0]; return v, z },
		"not orthogonal":    func(v []float64, z *mat.Dense) ([]float64, *mat.Dense) { z.Set(0, 0, z.At(0, 0)+1e-6); return v, z },
		"a vector twice":    func(v []float64, z *mat.Dense) ([]float64, *mat.Dense) { z.SetCol(1, mat.Col(nil, 0, z)); return v, z },
		"vectors exchanged": func(v []float64, z *mat.Dense) ([]float64, *mat.Dense) { swapColumns(z, 0, 9); return v, z },
	}
	for name, spoil := range wrongs {
		t.Run(name, func(t *testing.T) {
			late, err := topSym(copyOf(a), k, func(raw blas64.Symmetric, k int) ([]float64, *mat.Dense) {
				return spoil(topBlocked(raw, k))
			})
			if err != nil || !late.Fallback {
				t.Fatalf("taken for right: %v", err)
			}
			for i, v := range late.Values {
				if math.Abs(v-right.Values[i]) > 1e-12*right.Values[0] {
					t.Errorf("value %d is %g, want %g", i, v, right.Values[i])
				}
			}
			if off := residual(a, late.Values, late.Vectors); !(off <= 1e-12*right.Values[0]) {
				t.Errorf("residual %g", off)
			}
		})
	}
}

func swapColumns(m *mat.Dense, i, j int) {
	x, y := mat.Col(nil, i, m), mat.Col(nil, j, m)
	m.SetCol(i, y)
	m.SetCol(j, x)
}
