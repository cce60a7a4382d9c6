package heal

import (
	"math"

	"golang.org/x/sync/errgroup"
	"gonum.org/v1/gonum/blas"

	"github.com/mha2mla/mha2mla/internal/f32"
)

// batch holds some windows of tokens, one after the other: the attention inputs, and what
// the attention should add to the residual stream.
type batch[T f32.Real] struct {
	x, target f32.General[T] // [N × d]
	lengths   []int          // of the windows, in tokens; they add up to N
}

// pass holds the activations of a batch in a layer. Matrices are [features × N], so that a
// head is some rows and products run along the tokens, which are many.
type pass[T f32.Real] struct {
	layer            *layer[T]
	batch            batch[T]
	queryLatents     f32.General[T] // of compressed queries, else empty
	queries          f32.General[T] // of all heads, rotated
	rotaryKeys       f32.General[T] // rotated
	latentK, latentV f32.General[T] // after the norm
	unit             f32.General[T] // the latent in the norm before its weight; empty without a norm
	scales           []T            // [N]: what the norm multiplies each token's latent by
	contentKeys      f32.General[T]
	values           f32.General[T]
	mixed            f32.General[T] // the values that the heads attend to
	output           f32.General[T] // [N × d]
}

// forward takes a batch through the layer.
func (l *layer[T]) forward(b batch[T]) *pass[T] {
	p := &pass[T]{layer: l, batch: b, output: f32.NewOf[T](b.x.Rows, l.output.Rows)}
	if l.queryDown.Rows > 0 {
		p.queryLatents = p.project(l.queryDown)
		p.queries = times(l.query, p.queryLatents)
	} else {
		p.queries = p.project(l.query)
	}
	p.rotaryKeys = p.project(l.rotaryKey)
	p.latentK = p.project(l.downK)
	p.latentV = p.latentK
	if l.downV.Rows > 0 {
		p.latentV = p.project(l.downV)
	}
	if l.norm.Rows > 0 {
		p.normalise()
	}
	p.contentKeys, p.values = times(l.upK, p.latentK), times(l.upV, p.latentV)
	p.turn(p.queries, p.rotaryKeys, 1)
	p.mixed = f32.NewOf[T](l.output.Cols, b.x.Rows)
	p.eachWindow(func(from, n int) {
		a := newAttention(p, from, n)
		for h := range l.heads {
			a.head(h)
			a.mix()
		}
	})
	f32.Product(p.output, blas.Trans, p.mixed, blas.Trans, l.output, 1, 0)
	return p
}

// project returns w·x, [rows of w × N].
func (p *pass[T]) project(w f32.General[T]) f32.General[T] {
	y := f32.NewOf[T](w.Rows, p.batch.x.Rows)
	f32.Product(y, blas.NoTrans, w, blas.Trans, p.batch.x, 1, 0)
	return y
}

// times returns a·b.
func times[T f32.Real](a, b f32.General[T]) f32.General[T] {
	y := f32.NewOf[T](a.Rows, b.Cols)
	f32.Product(y, blas.NoTrans, a, blas.NoTrans, b, 1, 0)
	return y
}

// eachWindow calls f with the first token and the length of every window, side by
// side.
func (p *pass[T]) eachWindow(f func(from, n int)) {
	var group errgroup.Group
	from := 0
	for _, n := range p.batch.lengths {
		first := from
		group.Go(func() error { f(first, n); return nil })
		from += n
	}
	group.Wait() //nolint:errcheck // no function returns an error
}

// normalise replaces the latent by what its norm makes of it, and keeps what the backward
// pass needs.
func (p *pass[T]) normalise() {
	squares := make([]float64, p.batch.x.Rows)
	for i := range p.latentK.Rows {
		for t, v := range p.latentK.Row(i) {
			squares[t] += float64(v) * float64(v)
		}
	}
	p.scales = make([]T, len(squares))
	for t, s := range squares {
		p.scales[t] = T(1 / math.Sqrt(s/float64(p.latentK.Rows)+float64(p.layer.normEps)))
	}
	p.unit = p.latentK.Like()
	for i := range p.latentK.Rows {
		w, c, u := p.layer.norm.Data[i], p.latentK.Row(i), p.unit.Row(i)
		for t, v := range c {
			u[t] = v * p.scales[t]
			c[t] = w * u[t]
		}
	}
}

// turn rotates the rotary rows of queries and rotary keys by their positions, or
// back if direction is −1.
func (p *pass[T]) turn(queries, rotaryKeys f32.General[T], direction float64) {
	l := p.layer
	if l.rotaryDim == 0 {
		return
	}
	width, keys := l.contentDim+l.rotaryDim, len(l.frequencies)
	positions := 0
	for _, n := range p.batch.lengths {
		positions = max(positions, n)
	}
	cos, sin := make([]T, positions), make([]T, positions)
	for k, frequencies := range l.frequencies {
		for i, omega := range frequencies {
			for t := range positions {
				s, c := math.Sincos(direction * omega * float64(t))
				cos[t], sin[t] = T(c), T(s)
			}
			re, im := i, i+len(frequencies)
			if l.interleaved {
				re, im = 2*i, 2*i+1
			}
			turnRows(rotaryKeys, k*l.rotaryDim+re, k*l.rotaryDim+im, p.batch.lengths, cos, sin)
			for h := k * l.heads / keys; h < (k+1)*l.heads/keys; h++ {
				turnRows(queries, h*width+l.contentDim+re, h*width+l.contentDim+im, p.batch.lengths, cos, sin)
			}
		}
	}
}

// turnRows rotates two rows of m, the real and the imaginary parts of a pair, by angles
// whose cosines and sines are given by position. Positions begin anew in every window.
func turnRows[T f32.Real](m f32.General[T], re, im int, lengths []int, cos, sin []T) {
	x, y, from := m.Row(re), m.Row(im), 0
	for _, n := range lengths {
		x, y := x[from:from+n], y[from:from+n]
		for t := range x {
			x[t], y[t] = x[t]*cos[t]-y[t]*sin[t], x[t]*sin[t]+y[t]*cos[t]
		}
		from += n
	}
}

// loss returns factor times the squared error of the output, Σ ‖output − target‖² over the
// tokens, and its gradient with respect to the output, [N × d].
func (p *pass[T]) loss(factor float64) (gradient f32.General[T], loss float64) {
	gradient = p.output.Like()
	for i, v := range p.output.Data {
		d := v - p.batch.target.Data[i]
		gradient.Data[i] = T(2*factor) * d
		loss += float64(d) * float64(d)
	}
	return gradient, factor * loss
}
