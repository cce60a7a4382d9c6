package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/blas/gonum"
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/linalg"
	"github.com/mha2mla/mha2mla/internal/lowrank"
)

// kept is the rank of the factorisations.
const kept = 512

// stack returns a random matrix, rows × cols, whose columns become smaller from left to
// right, as the channels of activations do once they are sorted.
func stack(rows, cols int) *mat.Dense {
	rng := rand.New(rand.NewPCG(1, 2))
	m := mat.NewDense(rows, cols, nil)
	for i := range rows {
		for j, row := 0, m.RawRowView(i); j < cols; j++ {
			row[j] = rng.NormFloat64() / math.Sqrt(float64(1+j))
		}
	}
	return m
}

// top compares how long the leading eigenvectors of a Gram matrix take with gonum's
// algorithm, on gonum's matrix products. It does so only once, because that takes a minute
// or two.
func (b *bench) top() error {
	var gram mat.SymDense
	gram.SymOuterK(1, stack(1792, 4096))
	return duel{
		work: "top 512 of the Gram matrix of 1792×4096", against: "gonum's EigenSym", rounds: 1,
		ours: func() (usage, error) {
			a := mat.NewSymDense(1792, nil)
			a.CopySym(&gram)
			return here(func() error { _, err := linalg.TopSym(a, kept); return err })
		},
		theirs: func() (usage, error) {
			defer blas64.Use(blas64.Implementation())
			blas64.Use(gonum.Implementation{})
			return here(func() error { new(mat.EigenSym).Factorize(&gram, true); return nil })
		},
	}.fight()
}

// factor compares a factorisation with singular value decompositions of LAPACK. It also
// compares the squared error that each leaves with the least possible one.
func (b *bench) factor() error {
	const rows, cols = 4096, 7680
	m := stack(rows, cols)
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "matrix")
	if err := writeMatrix(file, m); err != nil {
		return err
	}
	var factors *lowrank.Factors
	least := math.NaN()
	left := make(map[string]float64)
	for _, routine := range []string{"dgesdd", "sgesdd"} { // the first computes the least possible error
		err := duel{
			work: fmt.Sprintf("top %d of %d×%d, float64", kept, rows, cols), against: "LAPACK " + routine, rounds: min(b.rounds, 3),
			ours: func() (usage, error) {
				problem := lowrank.Problem{Stack: mat.DenseCopyOf(m)}
				return here(func() (err error) { factors, err = lowrank.Factor(problem, kept); return err })
			},
			theirs: peer(b.lapack, func() (usage, error) {
				u, more, err := told(threads(runtime.GOMAXPROCS(0)), b.lapack, routine, strconv.Itoa(rows), strconv.Itoa(cols), strconv.Itoa(kept), file)
				if err != nil {
					return u, err
				}
				left[routine] = more[0]
				if routine == "dgesdd" {
					least = more[1]
				}
				return u, nil
			}),
		}.fight()
		if err != nil {
			return err
		}
	}
	fmt.Printf("  squared error above the least, relative: ours %.1e", excess(m, factors)/least-1)
	for routine, v := range left {
		fmt.Printf(", %s %.1e", routine, v/least-1)
	}
	fmt.Println()
	return nil
}

// excess returns ‖M − up·down‖²_F, the squared error of the factors f of m.
func excess(m *mat.Dense, f *lowrank.Factors) float64 {
	var rest mat.Dense
	rest.Mul(f.Up, f.Down)
	rest.Sub(m, &rest)
	norm := mat.Norm(&rest, 2)
	return norm * norm
}

// writeMatrix writes the elements of m, row by row.
func writeMatrix(file string, m *mat.Dense) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return binary.Write(f, binary.LittleEndian, m.RawMatrix().Data)
}
