package fastblas

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

var transposes = []blas.Transpose{blas.NoTrans, blas.Trans, blas.ConjTrans}

func TestRegistered(t *testing.T) {
	if _, ok := blas64.Implementation().(implementation); !ok {
		t.Errorf("blas64 uses %T", blas64.Implementation())
	}
	if _, ok := blas32.Implementation().(implementation); !ok {
		t.Errorf("blas32 uses %T", blas32.Implementation())
	}
}

// TestAgainstGonum runs the routines as they are called, beside gonum's.
func TestAgainstGonum(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for _, size := range [][3]int{{0, 0, 0}, {1, 1, 1}, {5, 1, 9}, {1, 70, 70}, {7, 9, 0}, {8, 8, 8}, {33, 40, 65}, {100, 61, 300}} {
		for _, tA := range transposes {
			for _, tB := range transposes {
				t.Run(fmt.Sprint(size, tA, tB), func(t *testing.T) { compareGemm(t, rng, tA, tB, size[0], size[1], size[2]) })
			}
			for _, ul := range []blas.Uplo{blas.Upper, blas.Lower} {
				t.Run(fmt.Sprint(size, tA, ul), func(t *testing.T) { compareSyrk(t, rng, ul, tA, size[0], size[2]) })
			}
		}
	}
}

func compareGemm(t *testing.T, rng *rand.Rand, tA, tB blas.Transpose, m, n, k int) {
	rowsA, colsA, rowsB, colsB := m, k, k, n
	if tA != blas.NoTrans {
		rowsA, colsA = k, m
	}
	if tB != blas.NoTrans {
		rowsB, colsB = n, k
	}
	a, b := matrix[float64](rowsA, colsA, 3, rng), matrix[float64](rowsB, colsB, 3, rng)
	c := matrix[float64](m, n, 3, rng)
	agree(t, c, func(by library, c []float64) {
		by.double.Dgemm(tA, tB, m, n, k, 0.5, a, colsA+3, b, colsB+3, 2, c, n+3)
	})
	agree(t, narrow(c), func(by library, c []float32) {
		by.single.Sgemm(tA, tB, m, n, k, 0.5, narrow(a), colsA+3, narrow(b), colsB+3, 2, c, n+3)
	})
}

func compareSyrk(t *testing.T, rng *rand.Rand, ul blas.Uplo, tA blas.Transpose, n, k int) {
	rows, cols := n, k
	if tA != blas.NoTrans {
		rows, cols = k, n
	}
	a, c := matrix[float64](rows, cols, 3, rng), matrix[float64](n, n, 3, rng)
	agree(t, c, func(by library, c []float64) {
		by.double.Dsyrk(ul, tA, n, k, 0.5, a, cols+3, 2, c, n+3)
	})
	b := matrix[float64](rows, cols, 4, rng)
	agree(t, c, func(by library, c []float64) {
		by.double.Dsyr2k(ul, tA, n, k, 0.5, a, cols+3, b, cols+4, 2, c, n+3)
	})
	agree(t, narrow(c), func(by library, c []float32) {
		by.single.Ssyrk(ul, tA, n, k, 0.5, narrow(a), cols+3, 2, c, n+3)
	})
}

// agree runs f for both libraries on copies of c and compares.
func agree[T float](t *testing.T, c []T, f func(library, []T)) {
	t.Helper()
	var results [2][]T
	for i, by := range libraries() {
		results[i] = append([]T(nil), c...)
		f(by, results[i])
	}
	tolerance := 1e-3
	if _, ok := any(c).([]float64); ok {
		tolerance = 1e-12
	}
	for i := range c {
		x, y := float64(results[0][i]), float64(results[1][i])
		if !same(x, y) && !(math.Abs(x-y) <= tolerance) {
			t.Fatalf("element %d is %g, gonum's %g", i, x, y)
		}
	}
}

func narrow(s []float64) []float32 {
	out := make([]float32, len(s))
	for i, v := range s {
		out[i] = float32(v)
	}
	return out
}

// TestArguments calls with arguments that do not fit: like gonum, the package
// panics and leaves C alone.
func TestArguments(t *testing.T) {
	const n = 40
	a, c := make([]float64, n*n), make([]float64, n*n)
	f := blas64.Implementation()
	for name, call := range map[string]func(){
		"transpose":     func() { f.Dgemm('x', blas.NoTrans, n, n, n, 1, a, n, a, n, 0, c, n) },
		"negative":      func() { f.Dgemm(blas.NoTrans, blas.NoTrans, -1, n, n, 1, a, n, a, n, 0, c, n) },
		"short a":       func() { f.Dgemm(blas.NoTrans, blas.NoTrans, n, n, n, 1, a[1:], n, a, n, 0, c, n) },
		"short b":       func() { f.Dgemm(blas.NoTrans, blas.Trans, n, n, n, 1, a, n, a[1:], n, 0, c, n) },
		"short c":       func() { f.Dgemm(blas.Trans, blas.NoTrans, n, n, n, 1, a, n, a, n, 0, c[1:], n) },
		"narrow stride": func() { f.Dgemm(blas.NoTrans, blas.NoTrans, n, n, n, 1, a, n, a, n, 0, c, n-1) },
		"triangle":      func() { f.Dsyrk('x', blas.NoTrans, n, n, 1, a, n, 0, c, n) },
		"syrk a":        func() { f.Dsyrk(blas.Upper, blas.Trans, n, n, 1, a[1:], n, 0, c, n) },
		"syr2k b":       func() { f.Dsyr2k(blas.Upper, blas.Trans, n, n, 1, a, n, a[1:], n, 0, c, n) },
		"symv triangle": func() { f.Dsymv('x', 100, 1, make([]float64, 10000), 100, a, 1, 0, c, 1) },
		"symv x":        func() { f.Dsymv(blas.Upper, 100, 1, make([]float64, 10000), 100, a[:99], 1, 0, c, 1) },
		"symv y":        func() { f.Dsymv(blas.Lower, 100, 1, make([]float64, 10000), 100, a, 1, 0, c, 0) },
		"trmm side": func() {
			f.Dtrmm('x', blas.Upper, blas.NoTrans, blas.Unit, 100, 10, 1, make([]float64, 10000), 100, c, 10)
		},
		"trmm short a": func() {
			f.Dtrmm(blas.Right, blas.Upper, blas.NoTrans, blas.Unit, 10, 100, 1, make([]float64, 9999), 100, c, 100)
		},
		"trsm short b": func() {
			f.Dtrsm(blas.Left, blas.Upper, blas.NoTrans, blas.Unit, 100, 17, 1, make([]float64, 10000), 100, c, 17)
		},
		"trsm diagonal": func() {
			f.Dtrsm(blas.Left, blas.Upper, blas.NoTrans, 'x', 100, 10, 1, make([]float64, 10000), 100, c, 10)
		},
		"syrk c": func() { f.Dsyrk(blas.Lower, blas.NoTrans, n, n, 1, a, n, 0, c[1:], n) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			call()
		}()
	}
}

// TestConcurrent multiplies from many goroutines at once.
func TestConcurrent(t *testing.T) {
	a := mat.NewDense(150, 150, noise[float64](150*150))
	var want mat.Dense
	want.Mul(a, a)
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			var got mat.Dense
			got.Mul(a, a)
			if !mat.Equal(&got, &want) {
				t.Error("results differ")
			}
		})
	}
	wait.Wait()
}
