package forward

import (
	"gonum.org/v1/gonum/blas"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/fastblas"
	"github.com/mha2mla/mha2mla/internal/vector"
)

// Around is what stands around the attention of a layer: the norm before it and the MLP behind
// it. A conversion leaves both as they are.
type Around struct {
	inputNorm, mlpNorm []float32
	gate, up, down     f32.Matrix
	activation         family.Activation
	eps                float64
}

// Around reads what stands around the attention of layer n. Errors are those of reading its
// weights.
func (d Decoder) Around(n int) (*Around, error) {
	r := layerReader{Decoder: d, layer: n}
	return r.around(), r.err
}

// around reads what stands around the attention.
func (r *layerReader) around() *Around {
	return &Around{
		inputNorm: r.vector(family.InputNorm), mlpNorm: r.vector(family.MLPNorm),
		gate: r.matrix(family.GateProj), up: r.matrix(family.UpProj), down: r.matrix(family.DownProj),
		activation: r.Activation, eps: r.NormEps,
	}
}

// Input returns the attention inputs for the residual stream x, [T × d].
func (l *Around) Input(x f32.Matrix) f32.Matrix {
	in := f32.New(x.Rows, x.Cols)
	f32.RMSNorm(in, x, l.inputNorm, l.eps)
	return in
}

// InputBack returns the gradient of a loss with respect to the residual stream x, [T × d],
// given that with respect to the attention inputs, in the same shape.
func (l *Around) InputBack(x, gradient f32.Matrix) f32.Matrix {
	back := x.Like()
	f32.RMSNormBack(back, x, gradient, l.inputNorm, l.eps)
	return back
}

// TokensAtOnce is how many tokens go through an MLP together: enough for its products to be
// fast, and few enough for the activations between them to stay in the cache.
const TokensAtOnce = 512

// MLP returns what the MLP adds to the residual stream x, [T × d].
func (l *Around) MLP(x f32.Matrix) f32.Matrix {
	out := f32.New(x.Rows, x.Cols)
	n := min(x.Rows, TokensAtOnce)
	h, gate, up := f32.New(n, x.Cols), f32.New(n, l.gate.Rows), f32.New(n, l.gate.Rows)
	for from := 0; from < x.Rows; from += n {
		to := min(from+n, x.Rows)
		h, gate, up := h.RowsFrom(0, to-from), gate.RowsFrom(0, to-from), up.RowsFrom(0, to-from)
		f32.RMSNorm(h, x.RowsFrom(from, to-from), l.mlpNorm, l.eps)
		f32.ProjectTo(gate, h, l.gate)
		f32.ProjectTo(up, h, l.up)
		l.activate(gate.Data, up.Data)
		f32.ProjectTo(out.RowsFrom(from, to-from), gate, l.down)
	}
	return out
}

// activate replaces each number of gate by its activation times the number of up.
func (l *Around) activate(gate, up []float32) {
	if l.activation == family.GELU {
		vector.GELU(gate, up)
	} else {
		vector.SiLU(gate, up)
	}
}

// MLPBack returns the gradient of a loss with respect to the residual stream x, [T × d], that
// the MLP reads, given that with respect to what it adds, in the same shape. The part of the
// stream that passes the MLP by is not in it.
func (l *Around) MLPBack(x, gradient f32.Matrix) f32.Matrix {
	back := x.Like()
	blocks := (x.Rows + TokensAtOnce - 1) / TokensAtOnce
	fastblas.Each(blocks, func(i int) {
		from := i * TokensAtOnce
		n := min(TokensAtOnce, x.Rows-from)
		l.mlpBack(back.RowsFrom(from, n), x.RowsFrom(from, n), gradient.RowsFrom(from, n))
	})
	return back
}

// mlpBack sets back to what MLPBack returns for some tokens.
func (l *Around) mlpBack(back, x, gradient f32.Matrix) {
	h := x.Like()
	f32.RMSNorm(h, x, l.mlpNorm, l.eps)
	gate, up := f32.Project(h, l.gate), f32.Project(h, l.up)
	inner := gate.Like()
	f32.Product(inner, blas.NoTrans, gradient, blas.NoTrans, l.down, 1, 0)
	if l.activation == family.GELU {
		vector.GELUBack(gate.Data, up.Data, inner.Data)
	} else {
		vector.SiLUBack(gate.Data, up.Data, inner.Data)
	}
	f32.Product(h, blas.NoTrans, gate, blas.NoTrans, l.gate, 1, 0)
	f32.Product(h, blas.NoTrans, up, blas.NoTrans, l.up, 1, 1)
	f32.RMSNormBack(back, x, h, l.mlpNorm, l.eps)
}
