package latent

import (
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/linalg"
)

// widest is how many rows or columns a basis is of at most. In wider tensors it would take longer
// to turn gradients than to compute them.
const widest = 1024

// basis is an orthonormal basis for some neighbouring rows or columns of a tensor.
type basis[T f32.Real] struct {
	from, n int
	moment  f32.General[T] // [n × n]: running mean of g·gᵀ, or gᵀ·g, of these parts of the gradients
	vectors f32.General[T] // [n × n]: the basis, a vector in every column
}

// newBases divides a side of n rows or columns, which are of that many heads, among bases: one for
// every head, and more if they are wide. They begin with the unit vectors.
func newBases[T f32.Real](n, heads int) (all []*basis[T]) {
	parts := basisCount(n, heads)
	for i := range parts {
		from, to := i*n/parts, (i+1)*n/parts
		b := &basis[T]{from: from, n: to - from, moment: f32.NewOf[T](to-from, to-from)}
		b.vectors = b.moment.Like()
		for j := range b.n {
			b.vectors.Row(j)[j] = 1
		}
		all = append(all, b)
	}
	return all
}

// basisCount is how many bases a side of n rows or columns of that many heads is divided among.
func basisCount(n, heads int) int { return max(heads, (n+widest-1)/widest) }

// renew makes the eigenvectors of the moment the basis. If they cannot be had, because gradients
// are not finite, the basis stays.
func (b *basis[T]) renew() {
	moment := mat.NewSymDense(b.n, nil)
	for i := range b.n {
		for j, v := range b.moment.Row(i)[i:] {
			moment.SetSym(i, i+j, float64(v))
		}
	}
	eigen, err := linalg.TopSym(moment, b.n)
	if err != nil {
		return
	}
	b.vectors = f32.From[T](eigen.Vectors)
}
