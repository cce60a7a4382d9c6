package latent

import (
	"math"

	"gonum.org/v1/gonum/blas"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/fastblas"
)

// Batch holds the attention inputs of some windows of tokens, one after the other.
type Batch[T f32.Real] struct {
	X       f32.General[T] // [N × d]
	Lengths []int          // of the windows, in tokens; they add up to N
}

// Pass holds the activations of a batch in a layer. Matrices are [features × N], so that a
// head is some rows and products run along the tokens, which are many.
type Pass[T f32.Real] struct {
	layer            *Layer[T]
	batch            Batch[T]
	queryLatents     f32.General[T] // of compressed queries, after their norm; else empty
	queryNorm        normed[T]
	queries          f32.General[T] // of all heads, rotated
	rotaryKeys       f32.General[T] // rotated
	latentK, latentV f32.General[T] // after the norm
	latentNorm       normed[T]
	contentKeys      f32.General[T]
	values           f32.General[T]
	Mixed            f32.General[T] // the values that the heads attend to
	Output           f32.General[T] // [N × d]: what the attention adds to the residual stream
}

// Forward takes a batch through the layer.
func (l *Layer[T]) Forward(b Batch[T]) *Pass[T] {
	p := &Pass[T]{layer: l, batch: b, Output: f32.NewOf[T](b.X.Rows, l.Output.Rows)}
	if l.queryDown.Rows > 0 {
		p.queryLatents = p.project(l.queryDown)
		p.queryNorm = norm(p.queryLatents, l.queryNorm.Data, l.queryEps)
		p.queries = f32.NewOf[T](l.query.Rows, b.X.Rows)
		l.eachPart(func(part func(f32.General[T]) f32.General[T]) {
			f32.Product(part(p.queries), blas.NoTrans, part(l.query), blas.NoTrans, part(p.queryLatents), 1, 0)
		})
	} else {
		p.queries = p.project(l.query)
	}
	p.rotaryKeys = p.project(l.rotaryKey)
	p.latentK = p.project(l.downK)
	p.latentV = p.latentK
	if l.downV.Rows > 0 {
		p.latentV = p.project(l.downV)
	}
	p.latentNorm = norm(p.latentK, l.norm.Data, l.normEps)
	p.contentKeys, p.values = times(l.upK, p.latentK), times(l.upV, p.latentV)
	p.turn(p.queries, p.rotaryKeys, 1)
	p.Mixed = f32.NewOf[T](l.Output.Cols, b.X.Rows)
	p.eachHead(l.heads, func(a *attention[T], h int) {
		a.head(h)
		a.mix()
	})
	f32.Product(p.Output, blas.Trans, p.Mixed, blas.Trans, l.Output, 1, 0)
	return p
}

// project returns w·x, [rows of w × N].
func (p *Pass[T]) project(w f32.General[T]) f32.General[T] {
	y := f32.NewOf[T](w.Rows, p.batch.X.Rows)
	f32.Product(y, blas.NoTrans, w, blas.Trans, p.batch.X, 1, 0)
	return y
}

// times returns a·b.
func times[T f32.Real](a, b f32.General[T]) f32.General[T] {
	y := f32.NewOf[T](a.Rows, b.Cols)
	f32.Product(y, blas.NoTrans, a, blas.NoTrans, b, 1, 0)
	return y
}

// eachHead calls f for every one of n heads in every window, as many at a time as there are
// processors free, with the attention of the window.
func (p *Pass[T]) eachHead(n int, f func(a *attention[T], h int)) {
	var starts []int
	from := 0
	for _, tokens := range p.batch.Lengths {
		starts = append(starts, from)
		from += tokens
	}
	fastblas.Each(len(starts)*n, func(i int) {
		window := i / n
		f(newAttention(p, starts[window], p.batch.Lengths[window]), i%n)
	})
}

// eachPart calls f for every part of compressed queries that is projected up by itself: for all
// of them at once, or for each head. It gives f a function that selects the part's rows of a
// matrix of queries, of their projection, or of what is compressed.
func (l *Layer[T]) eachPart(f func(part func(f32.General[T]) f32.General[T])) {
	parts := l.queryDown.Rows / l.query.Cols
	for i := range parts {
		f(func(m f32.General[T]) f32.General[T] { return m.RowsFrom(i*m.Rows/parts, m.Rows/parts) })
	}
}

// turn rotates the rotary rows of queries and rotary keys by their positions, or
// back if direction is −1.
func (p *Pass[T]) turn(queries, rotaryKeys f32.General[T], direction float64) {
	l := p.layer
	if l.rotaryDim == 0 {
		return
	}
	width, keys := l.contentDim+l.rotaryDim, len(l.frequencies)
	positions := 0
	for _, n := range p.batch.Lengths {
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
			turnRows(rotaryKeys, k*l.rotaryDim+re, k*l.rotaryDim+im, p.batch.Lengths, cos, sin)
			for h := k * l.heads / keys; h < (k+1)*l.heads/keys; h++ {
				turnRows(queries, h*width+l.contentDim+re, h*width+l.contentDim+im, p.batch.Lengths, cos, sin)
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
