package fastblas

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// library is an implementation to compare.
type library struct {
	name   string
	single blas.Float32Level3
	double blas.Float64
}

func libraries() []library {
	return []library{
		{"fast", blas32.Implementation(), blas64.Implementation()},
		{"gonum", reference{}, reference{}},
	}
}

var orders = []int{4, 8, 12, 16, 32, 64, 128, 256, 1024, 2048}

// measure runs f, which takes a number of operations, and reports their rate.
func measure(b *testing.B, operations float64, f func()) {
	for b.Loop() {
		f()
	}
	b.ReportMetric(operations*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
}

func BenchmarkSgemm(b *testing.B) {
	for _, n := range orders {
		x, y, z := noise[float32](n*n), noise[float32](n*n), make([]float32, n*n)
		for _, by := range libraries() {
			b.Run(fmt.Sprint(n, "/", by.name), func(b *testing.B) {
				measure(b, 2*float64(n)*float64(n)*float64(n), func() {
					by.single.Sgemm(blas.NoTrans, blas.Trans, n, n, n, 1, x, n, y, n, 0, z, n)
				})
			})
		}
	}
}

// BenchmarkFewRows multiplies a few rows by a large matrix, as a decoder does
// with a few tokens.
func BenchmarkFewRows(b *testing.B) {
	const n = 2048
	y := noise[float32](n * n)
	for _, m := range []int{1, 2, 3, 4, 8, 16} {
		x, z := noise[float32](m*n), make([]float32, m*n)
		for _, by := range libraries() {
			b.Run(fmt.Sprint(m, "/", by.name), func(b *testing.B) {
				measure(b, 2*float64(m)*n*n, func() {
					by.single.Sgemm(blas.NoTrans, blas.Trans, m, n, n, 1, x, n, y, n, 0, z, n)
				})
			})
		}
	}
}

func BenchmarkDgemm(b *testing.B) {
	for _, n := range orders {
		x, y, z := noise[float64](n*n), noise[float64](n*n), make([]float64, n*n)
		for _, by := range libraries() {
			b.Run(fmt.Sprint(n, "/", by.name), func(b *testing.B) {
				measure(b, 2*float64(n)*float64(n)*float64(n), func() {
					by.double.Dgemm(blas.NoTrans, blas.NoTrans, n, n, n, 1, x, n, y, n, 0, z, n)
				})
			})
		}
	}
}

func BenchmarkDsyrk(b *testing.B) {
	for _, n := range []int{8, 16, 32, 64, 256, 1024, 2048} {
		x, z := noise[float64](n*n), make([]float64, n*n)
		for _, by := range libraries() {
			b.Run(fmt.Sprint(n, "/", by.name), func(b *testing.B) {
				measure(b, float64(n)*float64(n+1)*float64(n), func() {
					by.double.Dsyrk(blas.Upper, blas.Trans, n, n, 1, x, n, 0, z, n)
				})
			})
		}
	}
}

func BenchmarkDsymv(b *testing.B) {
	for _, n := range []int{16, 64, 256, 1024, 4096} {
		a, x, y := noise[float64](n*n), noise[float64](n), make([]float64, n)
		for _, by := range libraries() {
			b.Run(fmt.Sprint(n, "/", by.name), func(b *testing.B) {
				measure(b, 2*float64(n)*float64(n), func() {
					by.double.Dsymv(blas.Lower, n, 1, a, n, x, 1, 0, y, 1)
				})
			})
		}
	}
}

func BenchmarkTriangular(b *testing.B) {
	for _, n := range []int{32, 64, 128, 1024} {
		a, x := noise[float64](n*n), noise[float64](n*n)
		for i := range n {
			a[i*n+i] = float64(n) // keeps solutions from growing
		}
		cube := float64(n) * float64(n) * float64(n)
		for _, by := range libraries() {
			b.Run(fmt.Sprint("trmm/", n, "/", by.name), func(b *testing.B) {
				measure(b, cube, func() {
					by.double.Dtrmm(blas.Right, blas.Lower, blas.NoTrans, blas.NonUnit, n, n, 1/float64(n), a, n, x, n)
				})
			})
			b.Run(fmt.Sprint("trsm/", n, "/", by.name), func(b *testing.B) {
				measure(b, cube, func() {
					by.double.Dtrsm(blas.Right, blas.Lower, blas.NoTrans, blas.NonUnit, n, n, float64(n), a, n, x, n)
				})
			})
		}
	}
}

// BenchmarkEigenSym measures what gonum's own routines gain.
func BenchmarkEigenSym(b *testing.B) {
	defer blas64.Use(blas64.Implementation())
	const n = 1024
	a := mat.NewSymDense(n, noise[float64](n*n))
	for _, by := range libraries() {
		b.Run(by.name, func(b *testing.B) {
			blas64.Use(by.double)
			for b.Loop() {
				var eig mat.EigenSym
				eig.Factorize(a, true)
			}
		})
	}
}

// BenchmarkPack measures the packing of the rows of a matrix as large as those
// of a model; its figure is numbers, not operations.
func BenchmarkPack(b *testing.B) {
	const n = 2048
	x := view(noise[float32](n*n), n, false)
	for _, k := range kernels[float32]() {
		b.Run(k.name, func(b *testing.B) {
			e := &engine[float32]{kernel: k}
			dst := make([]float32, roundUp(n, k.cols)*k.depth)
			measure(b, float64(n*(n-n%k.depth)), func() {
				for l := 0; l+k.depth <= n; l += k.depth {
					e.pack(dst, x, 0, n, l, k.depth, k.cols)
				}
			})
		})
	}
}

// BenchmarkTile measures the micro-kernels alone, on operands in the cache.
func BenchmarkTile(b *testing.B) {
	for _, k := range kernels[float32]() {
		b.Run("float32/"+k.name, func(b *testing.B) { measureTile(b, k) })
	}
	for _, k := range kernels[float64]() {
		b.Run("float64/"+k.name, func(b *testing.B) { measureTile(b, k) })
	}
}

func measureTile[T float](b *testing.B, k kernel[T]) {
	x, y, z := noise[T](k.depth*k.rows), noise[T](k.depth*k.cols), make([]T, k.rows*k.cols)
	measure(b, 2*float64(k.depth*k.rows*k.cols), func() {
		k.run(k.depth, &x[0], &y[0], 1, 0, &z[0], k.cols)
	})
}

func noise[T float](n int) []T {
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	s := make([]T, n)
	for i := range s {
		s[i] = T(rng.NormFloat64())
	}
	return s
}
