package lowrank

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/linalg"
)

// Problem is a stack M and the measure of what its factorisation loses,
//
//	‖ A (M − up·down) C^{1/2} ‖_F,   A² block-diagonal
//
// (design §5). With neither A nor C it is the plain joint SVD of the MHA2MLA
// paper.
type Problem struct {
	// Stack is M, [n × d]: the content keys of all KV heads over their values.
	// Factor and Spectrum overwrite it.
	Stack *mat.Dense
	// Left holds the blocks of A² from the top row down; their sizes, which may
	// differ, add up to n. Empty means A = I.
	Left []*mat.SymDense
	// Right is C, [d × d]. The zero value means C = I.
	Right linalg.Metric
}

// Factors are the two halves of a factorised stack: M ≈ Up · Down.
type Factors struct {
	Down *mat.Dense // [r × d]
	Up   *mat.Dense // [n × r]
	// Spectrum holds by how much each rank lowers the squared loss, in descending
	// order, [min(n, d)]: the eigenvalues of A M C Mᵀ Aᵀ. The squared loss at rank r is
	// the sum of those from r on.
	Spectrum []float64
	Fallback bool // the eigenvalue problem took the slow way, see linalg.Eigen
}

// rankFloor is the eigenvalue, relative to the largest, below which a direction
// of the Gram matrix is rounding: its square root is the precision of the
// factors.
const rankFloor = 1e-14

// ridge keeps a block of A² invertible. That part of its mean diagonal is added to its
// diagonal, and a much smaller part, ridge², of the mean over all blocks, for a block
// that is zero because its head is dead. Conversions measure the same from 1e-3 down.
const ridge = 1e-9

// Factor solves p at rank r, min(n, d) at most, in closed form (design §5; Eckart and
// Young 1936): with U the r leading eigenvectors of A M C Mᵀ Aᵀ, down = Uᵀ A M and
// up = A⁻¹ U. It works on the smaller of the two Gram matrices. Beyond the rank of the
// stack the factors are zero. At full rank they are exact, whatever the scales of the
// rows. It is an error if p is not finite.
func Factor(p Problem, r int) (*Factors, error) {
	n, d := p.Stack.Dims()
	var whole *mat.Dense
	if r == min(n, d) && uneven(p.Stack) {
		whole = mat.DenseCopyOf(p.Stack)
	}
	roots, err := p.weigh()
	if err != nil {
		return nil, err
	}
	f := &Factors{Down: mat.NewDense(r, d, nil)}
	e, err := linalg.TopSym(p.gram(), r)
	if err != nil {
		return nil, err
	}
	vectors := e.Vectors
	f.Spectrum, f.Fallback = e.Values, e.Fallback
	rank := 0
	for rank < r && f.Spectrum[rank] > rankFloor*f.Spectrum[0] {
		rank++
	}
	for i := range vectors.RawMatrix().Rows {
		clear(vectors.RawRowView(i)[rank:])
	}
	if n <= d {
		f.Up = vectors
		f.Down.Mul(f.Up.T(), p.Stack)
	} else {
		// The vectors are those of XᵀX, and Up·Down is X·V·Vᵀ. X·V is U Λ^{1/2}, so its
		// columns at unit length are Up and their lengths go into Down. That needs no
		// second product with X, and the rounding of U does not reach Down.
		f.Up = mat.NewDense(n, r, nil)
		f.Up.Mul(p.Stack, vectors)
		lengths := normaliseColumns(f.Up)
		f.Down.Copy(vectors.T())
		for k, length := range lengths {
			blas64.Scal(length, blas64.Vector{N: d, Inc: 1, Data: f.Down.RawRowView(k)})
		}
	}
	p.Right.Undo(f.Down)
	at := 0
	for _, root := range roots {
		b, _ := root.Dims()
		block := f.Up.Slice(at, at+b, 0, r).(*mat.Dense).RawMatrix()
		blas64.Trsm(blas.Left, blas.NoTrans, 1, root.RawTriangular(), block)
		at += b
	}
	if whole != nil {
		f.Up, f.Down = trivial(whole)
	}
	return f, nil
}

// unevenness is how many times as long as another one a row of a stack may be before
// eigenvectors are of no use to the shorter row: their error is relative to their
// largest elements.
const unevenness = 1e7

// uneven reports whether the rows of a stack that are not zero differ in length by
// more than unevenness.
func uneven(stack *mat.Dense) bool {
	least, most := math.Inf(1), 0.0
	for i := range stack.RawMatrix().Rows {
		if length := mat.Norm(stack.RowView(i), 2); length > 0 {
			least, most = min(least, length), max(most, length)
		}
	}
	return most > unevenness*least
}

// trivial factors a stack at full rank without any arithmetic: one of the factors is
// the stack, the other one the identity.
func trivial(stack *mat.Dense) (up, down *mat.Dense) {
	n, d := stack.Dims()
	identity := mat.NewDense(min(n, d), min(n, d), nil)
	for i := range min(n, d) {
		identity.Set(i, i, 1)
	}
	if n <= d {
		return identity, stack
	}
	return stack, identity
}

// Spectrum returns the eigenvalues that Factor would leave in Factors.Spectrum,
// without the factors. It is an error if p is not finite.
func Spectrum(p Problem) ([]float64, error) {
	if _, err := p.weigh(); err != nil {
		return nil, err
	}
	return linalg.ValuesSym(p.gram())
}

// weigh turns the stack into X = A M F in place, where A is the upper Cholesky factor
// of each block of A² and F·Fᵀ = C: the norm depends on AᵀA and F·Fᵀ alone. It returns
// the blocks of A. It is an error if a block is not positive definite.
func (p *Problem) weigh() ([]*mat.TriDense, error) {
	p.Right.Apply(p.Stack)
	if len(p.Left) == 0 {
		return nil, nil
	}
	n, d := p.Stack.Dims()
	mean, rows := 0.0, 0
	for _, block := range p.Left {
		mean += mat.Trace(block) / float64(n)
		rows += block.SymmetricDim()
	}
	if rows != n {
		return nil, fmt.Errorf("internal: blocks of %d rows for a stack of %d", rows, n)
	}
	if mean == 0 {
		mean = 1
	}
	roots := make([]*mat.TriDense, len(p.Left))
	at := 0
	for i, block := range p.Left {
		b := block.SymmetricDim()
		var ok bool
		roots[i], ok = root(block, ridge*(mat.Trace(block)/float64(b)+ridge*mean))
		if !ok {
			return nil, &linalg.NumericError{What: fmt.Sprintf("weights of block %d are not positive definite", i)}
		}
		part := p.Stack.Slice(at, at+b, 0, d).(*mat.Dense).RawMatrix()
		blas64.Trmm(blas.Left, blas.NoTrans, 1, roots[i].RawTriangular(), part)
		at += b
	}
	return roots, nil
}

// root returns the upper Cholesky factor of block + lift·I, and whether there is
// one.
func root(block *mat.SymDense, lift float64) (*mat.TriDense, bool) {
	b := block.SymmetricDim()
	lifted := mat.NewSymDense(b, nil)
	lifted.CopySym(block)
	for k := range b {
		lifted.SetSym(k, k, lifted.At(k, k)+lift)
	}
	var chol mat.Cholesky
	if !chol.Factorize(lifted) {
		return nil, false
	}
	upper := mat.NewTriDense(b, mat.Upper, nil)
	chol.UTo(upper)
	return upper, true
}

// gram returns the smaller of X Xᵀ and XᵀX.
func (p *Problem) gram() *mat.SymDense {
	n, d := p.Stack.Dims()
	e := mat.NewSymDense(min(n, d), nil)
	if n <= d {
		e.SymOuterK(1, p.Stack)
	} else {
		e.SymOuterK(1, p.Stack.T())
	}
	return e
}

// normaliseColumns gives every column that is not zero unit length, and returns
// what their lengths were.
func normaliseColumns(m *mat.Dense) []float64 {
	r, c := m.Dims()
	lengths := make([]float64, c)
	for i := range r {
		for j, v := range m.RawRowView(i) {
			lengths[j] += v * v
		}
	}
	inverse := make([]float64, c)
	for j, square := range lengths {
		lengths[j] = math.Sqrt(square)
		if square > 0 {
			inverse[j] = 1 / lengths[j]
		}
	}
	for i := range r {
		row := m.RawRowView(i)
		for j, f := range inverse {
			row[j] *= f
		}
	}
	return lengths
}

// Rank returns the smallest rank that keeps the given share, from 0 to 1, of the sum
// of a spectrum in descending order.
func Rank(spectrum []float64, share float64) int {
	total := 0.0
	for _, v := range spectrum {
		total += max(0, v)
	}
	kept := 0.0
	for r, v := range spectrum {
		if kept >= share*total {
			return r
		}
		kept += max(0, v)
	}
	return len(spectrum)
}

// Loss returns the squared loss at rank r, which is the sum of the spectrum from r on
// (Eckart and Young 1936).
func Loss(spectrum []float64, r int) float64 {
	sum := 0.0
	for _, v := range spectrum[min(r, len(spectrum)):] {
		sum += max(0, v)
	}
	return sum
}
