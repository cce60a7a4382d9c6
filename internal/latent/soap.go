package latent

import (
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/blas"

	"github.com/mha2mla/mha2mla/internal/f32"
)

// Constants of the optimiser, and the largest size of a step, relative to the root mean square of
// a tensor. Who descends takes a part of it, which depends on the size of the model and on how
// many steps are left.
const (
	momentum    = 0.9    // β₁
	spread      = 0.95   // β₂
	tiny        = 1e-12  // ε
	largestStep = 2.4e-2 // α, relative
	renewal     = 5      // steps from one choice of the bases to the next
)

// Soap is Adam in the eigenbases of the gradients' second moments, with a separate step size for
// every tensor (Vyas et al. 2024, algorithm 3). What a layer reads has few directions that matter,
// which no single number of a row stands for; Adam by itself takes steps as large in all of them.
type Soap[T f32.Real] struct {
	layer   *Layer[T]
	tensors []*descent[T]
	steps   int // how many steps were taken
}

// NewSoap begins to optimise l, with moments of zero.
func NewSoap[T f32.Real](l *Layer[T]) *Soap[T] {
	s := &Soap[T]{layer: l}
	for _, t := range l.Tensors() {
		s.tensors = append(s.tensors, newDescent(t))
	}
	return s
}

// Step changes the layer against gradient g, by the given part of the largest step.
func (s *Soap[T]) Step(g *Layer[T], part float64) {
	s.steps++
	renew := s.steps == 1 || s.steps%renewal == 0
	first, second := 1-math.Pow(momentum, float64(s.steps)), 1-math.Pow(spread, float64(s.steps))
	tensors := s.layer.Tensors()
	for k, gradient := range g.Tensors() {
		d := s.tensors[k]
		d.observe(gradient.General, renew)
		d.step(tensors[k].General, gradient.General, T(part*largestStep*d.size/first), T(1/second))
	}
}

// MeanStep measures how long a step takes on average. Step is called twice and must take a step of
// an optimiser that has taken none: the first chooses the bases, and the second does not.
func MeanStep(step func() error) (time.Duration, error) {
	var took [2]time.Duration
	for i := range took {
		start := time.Now()
		if err := step(); err != nil {
			return 0, err
		}
		took[i] = time.Since(start)
	}
	return took[1] + (took[0]-took[1])/renewal, nil
}

// descent is the state of the optimiser for one tensor.
type descent[T f32.Real] struct {
	size          float64        // root mean square of the tensor at the beginning
	first, second f32.General[T] // moments of the gradient, in the bases
	rows, columns []*basis[T]    // for parts of the rows and of the columns; none for a vector
}

// newDescent begins to optimise t.
func newDescent[T f32.Real](t Tensor[T]) *descent[T] {
	size := math.Sqrt(t.SquaredNorm() / float64(len(t.Data)))
	d := &descent[T]{size: size, first: t.Like(), second: t.Like()}
	if t.Rows > 1 {
		d.rows, d.columns = newBases[T](t.Rows, t.heads), newBases[T](t.Cols, 1)
	}
	return d
}

// bases lists the bases of both sides.
func (d *descent[T]) bases() []*basis[T] { return slices.Concat(d.rows, d.columns) }

// observe adds gradient g to the moments that the bases are of, and chooses the bases anew if
// wanted. The first moment goes over to them. The second stays what it is: bases change little,
// and their directions keep their order.
func (d *descent[T]) observe(g f32.General[T], renew bool) {
	for _, b := range d.rows {
		part := g.RowsFrom(b.from, b.n)
		f32.Product(b.moment, blas.NoTrans, part, blas.Trans, part, 1-spread, spread)
	}
	for _, b := range d.columns {
		part := g.ColumnsFrom(b.from, b.n)
		f32.Product(b.moment, blas.Trans, part, blas.NoTrans, part, 1-spread, spread)
	}
	if !renew || len(d.rows) == 0 {
		return
	}
	mean := d.out(d.first)
	for _, b := range d.bases() {
		b.renew()
	}
	d.first = d.into(mean)
}

// step changes t by a step of Adam along gradient g, of the given size. Scale takes the bias from
// the second moment.
func (d *descent[T]) step(t, g f32.General[T], size, scale T) {
	change := d.into(g)
	first, second := d.first.Data, d.second.Data
	for i, v := range change.Data {
		first[i] += (1 - momentum) * (v - first[i])
		second[i] += (1 - spread) * (v*v - second[i])
		change.Data[i] = -size * first[i] / (T(math.Sqrt(float64(second[i]*scale))) + tiny)
	}
	t.Add(d.out(change))
}

// into returns m, of the shape of the tensor, in the bases: Lᵀ·m·R.
func (d *descent[T]) into(m f32.General[T]) f32.General[T] {
	return d.turn(m, blas.Trans, blas.NoTrans)
}

// out returns m in the bases as what it is outside of them: L·m·Rᵀ.
func (d *descent[T]) out(m f32.General[T]) f32.General[T] { return d.turn(m, blas.NoTrans, blas.Trans) }

// turn multiplies the parts of m by the vectors of the bases, transposed as said.
func (d *descent[T]) turn(m f32.General[T], rows, columns blas.Transpose) f32.General[T] {
	if len(d.rows) == 0 {
		return m.Clone()
	}
	half, whole := m.Like(), m.Like()
	for _, b := range d.rows {
		f32.Product(half.RowsFrom(b.from, b.n), rows, b.vectors, blas.NoTrans, m.RowsFrom(b.from, b.n), 1, 0)
	}
	for _, b := range d.columns {
		f32.Product(whole.ColumnsFrom(b.from, b.n), blas.NoTrans, half.ColumnsFrom(b.from, b.n), columns, b.vectors, 1, 0)
	}
	return whole
}
