package linalg

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// BenchmarkEigen compares the leading eigenvectors of a Gram matrix, as a conversion
// asks for them, with gonum's algorithm, which computes all.
func BenchmarkEigen(b *testing.B) {
	for _, c := range []struct{ n, k int }{{64, 16}, {128, 32}, {256, 64}, {1024, 256}, {1792, 512}, {2048, 512}} {
		a := gram(c.n, 2*c.n, 0, rand.New(rand.NewPCG(5, 5)))
		b.Run(fmt.Sprintf("%d/top", c.n), func(b *testing.B) {
			for b.Loop() {
				if _, err := TopSym(copyOf(a), c.k); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%d/values", c.n), func(b *testing.B) {
			for b.Loop() {
				if _, err := ValuesSym(copyOf(a)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%d/gonum", c.n), func(b *testing.B) {
			if testing.Short() && c.n > 1024 {
				b.Skip("minutes")
			}
			for b.Loop() {
				var eig mat.EigenSym
				eig.Factorize(copyOf(a), true)
			}
		})
	}
}

// BenchmarkReduction compares the two ways to tridiagonal form and back, for the
// values alone and for some of the vectors.
func BenchmarkReduction(b *testing.B) {
	for _, n := range []int{1024, 1536, 2048, 3072, 4096} {
		a := gram(n, n, 0, rand.New(rand.NewPCG(6, 6)))
		for _, k := range []int{0, n / 8, n / 4, n / 2} {
			for name, reduce := range reductions {
				b.Run(fmt.Sprintf("%d/%d/%s", n, k, name), func(b *testing.B) {
					for b.Loop() {
						_, q := reduce(copyOf(a).RawSymmetric())
						if k > 0 {
							q.apply(newGeneral(n, k))
						}
					}
				})
			}
		}
	}
}

// BenchmarkHermitian compares with the real embedding.
func BenchmarkHermitian(b *testing.B) {
	for _, n := range []int{128, 512, 1024, 2048} {
		rng := rand.New(rand.NewPCG(7, 7))
		h := rotated(gram(n, n, 0, rng), 1, rng)
		b.Run(fmt.Sprintf("%d/top", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := TopHermitian(n, n/16, h); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%d/embedded", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := embeddedHermitian(n, n/16, h); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
