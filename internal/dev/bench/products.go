package main

import (
	"fmt"
	"runtime"
	"strconv"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"

	_ "github.com/mha2mla/mha2mla/internal/fastblas" // what is measured
)

// products compares matrix products with those of OpenBLAS.
func (b *bench) products() error {
	for _, cores := range cores() {
		for name, call := range routines(2048) {
			err := duel{
				work: fmt.Sprintf("%s, order 2048, processors: %d", name, cores), against: "OpenBLAS", rounds: b.rounds + 2,
				ours: func() (usage, error) {
					defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
					return best(call)
				},
				theirs: peer(b.lapack, func() (usage, error) {
					u, _, err := told(threads(cores), b.lapack, name, "2048")
					return u, err
				}),
			}.fight()
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// cores returns the numbers of processors to measure with: one, and all.
func cores() []int {
	n := runtime.GOMAXPROCS(0)
	if n > 1 {
		return []int{1, n}
	}
	return []int{1}
}

// threads returns the environment variable that makes OpenBLAS use n threads.
func threads(n int) []string { return []string{"OPENBLAS_NUM_THREADS=" + strconv.Itoa(n)} }

// routines yields products of matrices of order n, by the names that BLAS has for them.
func routines(n int) func(yield func(name string, call func()) bool) {
	a, b, c := operands[float64](n * n)
	x, y, z := operands[float32](n * n)
	return func(yield func(name string, call func()) bool) {
		_ = yield("sgemm", func() {
			blas32.Implementation().Sgemm(blas.NoTrans, blas.Trans, n, n, n, 1, x, n, y, n, 0, z, n)
		}) && yield("dgemm", func() {
			blas64.Implementation().Dgemm(blas.NoTrans, blas.NoTrans, n, n, n, 1, a, n, b, n, 0, c, n)
		}) && yield("dsyrk", func() {
			blas64.Implementation().Dsyrk(blas.Upper, blas.Trans, n, n, 1, a, n, 0, c, n)
		})
	}
}

func operands[T float32 | float64](n int) (a, b, c []T) {
	a, b, c = make([]T, n), make([]T, n), make([]T, n)
	for i := range a {
		a[i], b[i] = T(i%1021)/1021-0.5, T(i%997)/997-0.5
	}
	return a, b, c
}
