package heal

import (
	"context"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/f32"
)

// ridges are the candidates for λ, relative to the mean square of Z, the values that heads
// attend to (design §9). λ holds the output projection to what it was in directions of
// which the tokens say nothing. The candidate that is best on the tokens held out is taken.
var ridges = []float64{1e-4, 1e-3, 1e-2, 1e-1, 1}

// normal holds the normal equations of the output projection W: those of ‖Z·Wᵀ − Y‖² over
// tokens, with Z the values that heads attend to, [N × H·v], and Y the targets, [N × d].
type normal struct {
	square *mat.SymDense // Zᵀ·Z, [H·v × H·v]
	cross  *mat.Dense    // Zᵀ·Y, [H·v × d]
	energy float64       // ‖Y‖²
}

// lossless is an error that single precision makes, which nothing can take away.
const lossless = 1e-10

// fitOutput replaces the output projection of the layer by the best one for its other
// tensors, if that is better on the tokens held out. It is the one tensor whose best value
// needs no iteration, because the values that the heads attend to do not depend on it.
func (t *training) fitOutput(r *Result) error {
	if r.After < lossless {
		return nil
	}
	train, err := t.normal(t.train)
	if err != nil {
		return err
	}
	held, err := t.normal(t.held)
	if err != nil || held.energy == 0 {
		return err
	}
	old := t.layer.Output.Dense()
	best, found := r.After*held.energy, (*mat.Dense)(nil)
	for _, ridge := range ridges {
		w := train.solve(old, ridge)
		if w == nil {
			continue
		}
		if off := held.off(w); off < best {
			best, found = off, w
		}
	}
	if found != nil {
		t.layer.Output = f32.From[float32](found)
		r.After, r.Output = best/held.energy, true
	}
	return nil
}

// normal adds up the normal equations over windows.
func (t *training) normal(windows []int) (*normal, error) {
	width, hidden := t.layer.Output.Cols, t.layer.Output.Rows
	n := &normal{square: mat.NewSymDense(width, nil), cross: mat.NewDense(width, hidden, nil)}
	for _, some := range t.batches(windows, tokensAtOnce) {
		if err := context.Cause(t.ctx); err != nil {
			return nil, err
		}
		b, err := t.read(some)
		if err != nil {
			return nil, err
		}
		n.add(t.layer.Forward(b.Batch).Mixed, b)
	}
	return n, nil
}

// add adds a batch, whose heads attend to the values mixed, [H·v × N]. Products over the
// few tokens of a batch are in single precision, and sums over batches in double.
func (n *normal) add(mixed f32.General[float32], b batch) {
	square, cross := f32.NewOf[float32](mixed.Rows, mixed.Rows), f32.NewOf[float32](mixed.Rows, b.target.Cols)
	blas32.Syrk(blas.NoTrans, 1, f32.Raw(mixed), 0, blas32.Symmetric{Uplo: blas.Upper, N: square.Rows, Stride: square.Stride, Data: square.Data})
	f32.Product(cross, blas.NoTrans, mixed, blas.NoTrans, b.target, 1, 0)
	for i := range square.Rows {
		to := n.square.RawSymmetric().Data[i*square.Rows:]
		for j, v := range square.Row(i)[i:] {
			to[i+j] += float64(v)
		}
		row := n.cross.RawRowView(i)
		for j, v := range cross.Row(i) {
			row[j] += float64(v)
		}
	}
	n.energy += b.energy()
}

// solve returns the W, [d × H·v], that minimises ‖Z·Wᵀ − Y‖² + λ‖W − old‖², where λ is
// ridge times the mean square of Z (ridge regression, design §9). It returns nil if the
// equations have no solution.
func (n *normal) solve(old *mat.Dense, ridge float64) *mat.Dense {
	width := n.square.SymmetricDim()
	lambda := ridge * mat.Trace(n.square) / float64(width)
	lifted := mat.NewSymDense(width, nil)
	lifted.CopySym(n.square)
	for i := range width {
		lifted.SetSym(i, i, lifted.At(i, i)+lambda)
	}
	var right, w mat.Dense
	right.Scale(lambda, old.T())
	right.Add(&right, n.cross)
	var factor mat.Cholesky
	if !(lambda > 0) || math.IsInf(lambda, 0) || !factor.Factorize(lifted) || factor.SolveTo(&w, &right) != nil {
		return nil
	}
	return mat.DenseCopyOf(w.T())
}

// off returns ‖Z·Wᵀ − Y‖².
func (n *normal) off(w *mat.Dense) float64 {
	var through mat.Dense
	through.Mul(n.square, w.T())
	_, c := through.Dims()
	sum := n.energy
	for i := range through.RawMatrix().Rows {
		column := mat.Col(nil, i, w)
		vector := blas64.Vector{N: c, Inc: 1, Data: column}
		sum += blas64.Dot(vector, blas64.Vector{N: c, Inc: 1, Data: through.RawRowView(i)})
		sum -= 2 * blas64.Dot(vector, blas64.Vector{N: c, Inc: 1, Data: n.cross.RawRowView(i)})
	}
	return max(0, sum)
}
