// Command bench compares the program's kernels with libraries in C, where those
// were there to build against, and prints the ratios.
//
//	bench [path of the OpenBLAS program]
package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"

	_ "github.com/mha2mla/mha2mla/internal/fastblas" // what is measured
)

func main() {
	peer := ""
	if len(os.Args) > 1 {
		peer = os.Args[1]
	}
	if _, err := os.Stat(peer); err != nil {
		fmt.Fprintln(os.Stderr, "bench: no OpenBLAS program to compare with")
		peer = ""
	}
	fmt.Printf("%-10s %5s %5s %12s %12s %7s\n", "routine", "order", "cores", "GFLOPS", "OpenBLAS", "ratio")
	cores := []int{1}
	if n := runtime.GOMAXPROCS(0); n > 1 {
		cores = append(cores, n)
	}
	for _, n := range cores {
		for _, r := range routines(2048) {
			if err := compare(r, n, peer); err != nil {
				fmt.Fprintln(os.Stderr, "bench:", err)
				os.Exit(1)
			}
		}
	}
}

// routine is a call to measure.
type routine struct {
	name       string
	order      int
	operations float64
	call       func()
}

func routines(n int) []routine {
	a, b, c := operands[float64](n * n)
	x, y, z := operands[float32](n * n)
	cube := float64(n) * float64(n) * float64(n)
	return []routine{
		{"sgemm", n, 2 * cube, func() {
			blas32.Implementation().Sgemm(blas.NoTrans, blas.Trans, n, n, n, 1, x, n, y, n, 0, z, n)
		}},
		{"dgemm", n, 2 * cube, func() {
			blas64.Implementation().Dgemm(blas.NoTrans, blas.NoTrans, n, n, n, 1, a, n, b, n, 0, c, n)
		}},
		{"dsyrk", n, cube, func() {
			blas64.Implementation().Dsyrk(blas.Upper, blas.Trans, n, n, 1, a, n, 0, c, n)
		}},
	}
}

func operands[T float32 | float64](n int) (a, b, c []T) {
	a, b, c = make([]T, n), make([]T, n), make([]T, n)
	for i := range a {
		a[i], b[i] = T(i%1021)/1021-0.5, T(i%997)/997-0.5
	}
	return a, b, c
}

// compare prints a line for r on a number of cores: medians of rounds in which
// both take their turn, so that other load meets both.
func compare(r routine, cores int, peer string) error {
	const rounds = 7
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
	var own, others, ratios []float64
	for range rounds {
		seconds := measure(r)
		own = append(own, r.operations/seconds/1e9)
		if peer == "" {
			continue
		}
		other, err := run(peer, r, cores)
		if err != nil {
			return err
		}
		others = append(others, r.operations/other/1e9)
		ratios = append(ratios, other/seconds)
	}
	fmt.Printf("%-10s %5d %5d %12.1f", r.name, r.order, cores, median(own))
	if peer != "" {
		fmt.Printf(" %12.1f %7.2f", median(others), median(ratios))
	}
	fmt.Println()
	return nil
}

// measure returns the seconds r takes, the best of three after a first that is
// not counted, which is what the other program does.
func measure(r routine) float64 {
	r.call()
	best := time.Hour
	for range 3 {
		start := time.Now()
		r.call()
		best = min(best, time.Since(start))
	}
	return best.Seconds()
}

func run(peer string, r routine, cores int) (seconds float64, err error) {
	command := exec.Command(peer, r.name, strconv.Itoa(r.order))
	command.Env = append(os.Environ(), "OPENBLAS_NUM_THREADS="+strconv.Itoa(cores))
	out, err := command.Output()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", peer, err)
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}

func median(s []float64) float64 {
	slices.Sort(s)
	return s[len(s)/2]
}
