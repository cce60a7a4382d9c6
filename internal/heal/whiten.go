package heal

import (
	"context"
	"errors"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// damping is the part of the mean variance that is added to every direction before
// inputs are whitened: directions hardly seen are not to be blown up.
const damping = 1e-2

// whitening changes the basis of attention inputs so that they have unit second
// moments: x' = L⁻¹·x with L·Lᵀ = E[x xᵀ].
type whitening struct {
	root    *mat.TriDense   // L
	inverse matrix[float32] // L⁻¹
}

// newWhitening works out the basis for inputs of the given second moments.
func newWhitening(moments *mat.SymDense) (*whitening, error) {
	d := moments.SymmetricDim()
	var chol mat.Cholesky
	if !chol.Factorize(moments) {
		return nil, errors.New("the moments of the attention inputs are not positive definite")
	}
	w := &whitening{root: mat.NewTriDense(d, mat.Lower, nil)}
	chol.LTo(w.root)
	inverse := mat.NewDense(d, d, nil)
	for i := range d {
		inverse.Set(i, i, 1)
	}
	blas64.Trsm(blas.Left, blas.NoTrans, 1, w.root.RawTriangular(), inverse.RawMatrix())
	w.inverse = copied[float32](inverse)
	return w, nil
}

// inputs returns the tensors that attention inputs go through.
func (l *layer[T]) inputs() []*matrix[T] {
	first := &l.query
	if l.queryDown.rows > 0 {
		first = &l.queryDown
	}
	return []*matrix[T]{first, &l.rotaryKey, &l.downK, &l.downV}
}

// apply whitens inputs, [N × d].
func (w *whitening) apply(x matrix[float32]) matrix[float32] {
	y := like(x)
	product(y, blas.NoTrans, x, blas.Trans, w.inverse, 0)
	return y
}

// whiten makes the layer take whitened inputs.
func (t *training) whiten() error {
	moments, err := t.moments()
	if err != nil {
		return err
	}
	if t.basis, err = newWhitening(moments); err != nil {
		return err
	}
	t.changeInputs(func(m blas64.General) {
		blas64.Trmm(blas.Right, blas.NoTrans, 1, t.basis.root.RawTriangular(), m)
	})
	return nil
}

// unwhiten undoes whiten.
func (t *training) unwhiten() {
	t.changeInputs(func(m blas64.General) {
		blas64.Trsm(blas.Right, blas.NoTrans, 1, t.basis.root.RawTriangular(), m)
	})
	t.basis = nil
}

// changeInputs changes the tensors that attention inputs go through.
func (t *training) changeInputs(change func(blas64.General)) {
	for _, m := range t.layer.inputs() {
		if m.rows > 0 {
			changed := dense(*m)
			change(changed.RawMatrix())
			*m = copied[float32](changed)
		}
	}
}

// moments returns the second moments of the attention inputs to learn from, damped.
func (t *training) moments() (*mat.SymDense, error) {
	d := t.layer.output.rows
	c := mat.NewSymDense(d, nil)
	for _, windows := range t.batches(t.train) {
		if err := context.Cause(t.ctx); err != nil {
			return nil, err
		}
		b, err := t.read(windows)
		if err != nil {
			return nil, err
		}
		c.SymRankK(c, 1, dense(b.x).T())
	}
	mean := mat.Trace(c) / float64(d)
	for i := range d {
		c.SetSym(i, i, c.At(i, i)+damping*mean)
	}
	c.ScaleSym(1/mean, c)
	return c, nil
}
