package forward

import (
	"gonum.org/v1/gonum/blas"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/fastblas"
	"github.com/mha2mla/mha2mla/internal/vector"
)

// Around is what stands around the attention of a layer: the norm before it and the MLP, or the
// experts, behind it. A conversion leaves both as they are.
type Around struct {
	inputNorm, mlpNorm []float32
	eps                float64
	*gated             // the MLP; nil if there are experts
	experts            *experts
}

// gated is an MLP with a gate.
type gated struct {
	gate, up, down f32.Matrix
	activation     family.Activation
}

// Around reads what stands around the attention of layer n, but for its experts, which are read
// when a token passes them. Errors are those of reading its weights.
func (d Decoder) Around(n int) (*Around, error) {
	r := layerReader{Decoder: d, layer: n}
	return r.around(), r.err
}

// around reads what stands around the attention.
func (r *layerReader) around() *Around {
	a := &Around{inputNorm: r.vector(family.InputNorm), mlpNorm: r.vector(family.MLPNorm), eps: r.NormEps}
	if r.HasExperts(r.layer) {
		a.experts = r.experts()
	} else {
		a.gated = r.gated(func(name string) string { return name })
	}
	return a
}

// gated reads an MLP, whose projections are named by a function of their usual names.
func (r *layerReader) gated(named func(name string) string) *gated {
	return &gated{r.matrix(named(family.GateProj)), r.matrix(named(family.UpProj)), r.matrix(named(family.DownProj)), r.Activation}
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

// MLP returns what the MLP adds to the residual stream x, [T × d]. Errors are those of reading
// the experts that tokens pass.
func (l *Around) MLP(x f32.Matrix) (f32.Matrix, error) {
	h := x.Like()
	f32.RMSNorm(h, x, l.mlpNorm, l.eps)
	if l.experts != nil {
		return l.experts.mix(h)
	}
	return l.run(h), nil
}

// run returns what the MLP makes of its inputs h, [T × d].
func (m *gated) run(h f32.Matrix) f32.Matrix {
	out := h.Like()
	n := min(h.Rows, TokensAtOnce)
	gate, up := f32.New(n, m.gate.Rows), f32.New(n, m.gate.Rows)
	for from := 0; from < h.Rows; from += n {
		to := min(from+n, h.Rows)
		h, gate, up := h.RowsFrom(from, to-from), gate.RowsFrom(0, to-from), up.RowsFrom(0, to-from)
		f32.ProjectTo(gate, h, m.gate)
		f32.ProjectTo(up, h, m.up)
		m.activate(gate.Data, up.Data)
		f32.ProjectTo(out.RowsFrom(from, to-from), gate, m.down)
	}
	return out
}

// activate replaces each number of gate by its activation times the number of up.
func (m *gated) activate(gate, up []float32) {
	if m.activation == family.GELU {
		vector.GELU(gate, up)
	} else {
		vector.SiLU(gate, up)
	}
}

// MLPBack returns the gradient of a loss with respect to the residual stream x, [T × d], that
// the MLP reads, given that with respect to what it adds, in the same shape. The part of the
// stream that passes the MLP by is not in it. The layer must have no experts.
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
