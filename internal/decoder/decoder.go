// Package decoder runs a canonical decoder on tokens in float32, with the
// semantics of the stock classes: those of the family for MHA, GQA and MQA,
// DeepseekV3ForCausalLM without experts for latent attention; and with those of
// the reference implementation of the MHA2MLA paper.
//
// It holds one layer at a time and reads it from the disk when asked.
package decoder

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/mha2mla/mha2mla/internal/family"
	_ "github.com/mha2mla/mha2mla/internal/fastblas" // products under blas32
	"github.com/mha2mla/mha2mla/internal/vector"
)

// Decoder runs one model.
type Decoder struct {
	*family.Model
	// Cached, if not nil, rewrites in place what an engine would cache: vectors,
	// one per row and token. In a layer of latent attention these are the latent
	// after its norm and the rotary key after its rotation, else the keys after
	// RoPE and the values, head by head. It is called concurrently.
	Cached func(vectors Matrix)
}

// Matrix is a row-major float32 matrix; activations have a row per token.
type Matrix = blas32.General

// NewMatrix returns a zero matrix.
func NewMatrix(rows, cols int) Matrix {
	return Matrix{Rows: rows, Cols: cols, Stride: cols, Data: make([]float32, rows*cols)}
}

// Embed returns the embeddings of tokens, [T × d]. Token ids must be below the
// size of the vocabulary.
func (d Decoder) Embed(tokens []int) (Matrix, error) {
	table := d.Tensor(family.Embedding)
	x := NewMatrix(len(tokens), d.Hidden)
	for i, id := range tokens {
		if err := family.ReadValues(table, int64(id)*int64(d.Hidden), x.Data[i*d.Hidden:(i+1)*d.Hidden]); err != nil {
			return Matrix{}, err
		}
	}
	return x, nil
}

// Finish applies the final norm to x, in place: what the head then projects.
func (d Decoder) Finish(x Matrix) error {
	gamma, err := d.vector(family.FinalNorm)
	if err != nil {
		return err
	}
	rmsNorm(x, x, gamma, d.NormEps)
	return nil
}

// HeadRows returns the rows of the head for the token ids from up to to, [n × d].
func (d Decoder) HeadRows(from, to int) (Matrix, error) {
	rows := NewMatrix(to-from, d.Hidden)
	return rows, family.ReadValues(d.Tensor(family.Head), int64(from)*int64(d.Hidden), rows.Data)
}

// Logits runs the whole model on one sequence and returns the logits of the
// next token, [T × vocabulary].
func (d Decoder) Logits(tokens []int) (Matrix, error) {
	x, err := d.Embed(tokens)
	if err != nil {
		return Matrix{}, err
	}
	for n := range d.Layers {
		l, err := d.Layer(n)
		if err != nil {
			return Matrix{}, err
		}
		l.Forward(x)
	}
	if err := d.Finish(x); err != nil {
		return Matrix{}, err
	}
	head, err := d.HeadRows(0, d.Vocab)
	return project(x, head), err
}

// Layer is one decoder layer with its weights in memory.
type Layer struct {
	attention
	mlpNorm        []float32
	gate, up, down Matrix
	activation     family.Activation
	eps            float64
}

// Layer reads layer n.
func (d Decoder) Layer(n int) (*Layer, error) {
	l := &Layer{eps: d.NormEps, activation: d.Activation}
	r := layerReader{Decoder: d, layer: n}
	switch {
	case d.MLA != nil:
		l.attention = r.latent()
	case d.PerHead != nil:
		l.attention = r.perHead()
	default:
		l.attention = r.grouped()
	}
	l.mlpNorm = r.vector(family.MLPNorm)
	l.gate, l.up, l.down = r.matrix(family.GateProj), r.matrix(family.UpProj), r.matrix(family.DownProj)
	return l, r.err
}

// attention is the attention of a layer, norm included.
type attention interface {
	// Attend returns what the attention adds to the residual stream x, [T × d],
	// of one sequence that begins at position 0.
	Attend(x Matrix) Matrix
}

// TokensAtOnce is how many tokens go through an MLP together: enough for its products,
// few enough for what is between them to stay in the cache.
const TokensAtOnce = 512

// MLP returns what the MLP adds to the residual stream x, [T × d].
func (l *Layer) MLP(x Matrix) Matrix {
	out := NewMatrix(x.Rows, x.Cols)
	n := min(x.Rows, TokensAtOnce)
	h, gate, up := NewMatrix(n, x.Cols), NewMatrix(n, l.gate.Rows), NewMatrix(n, l.gate.Rows)
	for from := 0; from < x.Rows; from += n {
		to := min(from+n, x.Rows)
		h, gate, up := rows(h, 0, to-from), rows(gate, 0, to-from), rows(up, 0, to-from)
		rmsNorm(h, rows(x, from, to), l.mlpNorm, l.eps)
		projectTo(gate, h, l.gate)
		projectTo(up, h, l.up)
		if l.activation == family.GELU {
			vector.GELU(gate.Data, up.Data)
		} else {
			vector.SiLU(gate.Data, up.Data)
		}
		projectTo(rows(out, from, to), gate, l.down)
	}
	return out
}

// Forward runs the layer on the residual stream x of one sequence, in place,
// and returns what its attention added.
func (l *Layer) Forward(x Matrix) Matrix {
	attended := l.Attend(x)
	Add(x, attended)
	Add(x, l.MLP(x))
	return attended
}

// Observer sees what goes through the attention of a layer. Any function may be nil;
// matrices are theirs to look at until they return.
type Observer struct {
	// Input sees the attention input, after the norm, [T × d].
	Input func(x Matrix)
	// Heads sees the queries and the keys of all heads, [T × H·D] and [T × G·D],
	// before their norms, if they have any, and before they are rotated.
	Heads func(q, k Matrix, headDim int)
	// Rotary sees the same, rotated.
	Rotary func(q, k Matrix, headDim int)
	// Head returns who sees head h: the attention probabilities of some queries from
	// the given one on, [queries × keys], the values, [T × D], and what they are mixed
	// to, [queries × D]. Queries come in their order; heads may be seen at the same time.
	Head func(h int) func(from int, probabilities, values, mixed Matrix)
}

// Observe is Forward before the eyes of an observer. It is an error if the layer
// has latent attention.
func (l *Layer) Observe(x Matrix, o Observer) error {
	a, ok := l.attention.(*grouped)
	if !ok {
		return errors.New("latent attention cannot be observed")
	}
	Add(x, a.observe(x, o))
	Add(x, l.MLP(x))
	return nil
}

// Add adds y to x.
func Add(x, y Matrix) {
	for i, v := range y.Data {
		x.Data[i] += v
	}
}

// layerReader reads the tensors of one layer and keeps the first error.
type layerReader struct {
	Decoder
	layer int
	err   error
}

// cached returns the decoder's hook, or one that does nothing.
func (r *layerReader) cached() func(Matrix) {
	if r.Cached == nil {
		return func(Matrix) {}
	}
	return r.Cached
}

func (r *layerReader) vector(name string) []float32 {
	if r.err != nil {
		return nil
	}
	v, err := r.Decoder.vector(family.InLayer(r.layer, name))
	r.err = err
	return v
}

func (r *layerReader) matrix(name string) Matrix {
	if r.err != nil {
		return Matrix{}
	}
	t := r.Tensor(family.InLayer(r.layer, name))
	m := NewMatrix(int(t.Shape[0]), int(t.Shape[1]))
	r.err = family.ReadValues(t, 0, m.Data)
	return m
}

func (d Decoder) vector(name string) ([]float32, error) {
	t := d.Tensor(name)
	v := make([]float32, t.Elements())
	return v, family.ReadValues(t, 0, v)
}

// project returns x·wᵀ, [T × rows of w].
func project(x, w Matrix) Matrix {
	y := NewMatrix(x.Rows, w.Rows)
	projectTo(y, x, w)
	return y
}

// projectTo sets y to x·wᵀ.
func projectTo(y, x, w Matrix) { blas32.Gemm(blas.NoTrans, blas.Trans, 1, x, w, 0, y) }

// rmsNorm sets each row of y to gamma ∘ row of x / √(mean square + eps).
func rmsNorm(y, x Matrix, gamma []float32, eps float64) {
	for t := range x.Rows {
		in, out := x.Data[t*x.Stride:][:len(gamma)], y.Data[t*y.Stride:][:len(gamma)]
		scale := float32(1 / math.Sqrt(square(in)/float64(x.Cols)+eps))
		for j, g := range gamma {
			out[j] = g * (in[j] * scale)
		}
	}
}

// square returns Σ x², in four sums, none of which waits for another.
func square(v []float32) float64 {
	var a, b, c, d float64
	for ; len(v) >= 4; v = v[4:] {
		a += float64(v[0]) * float64(v[0])
		b += float64(v[1]) * float64(v[1])
		c += float64(v[2]) * float64(v[2])
		d += float64(v[3]) * float64(v[3])
	}
	for _, x := range v {
		a += float64(x) * float64(x)
	}
	return (a + b) + (c + d)
}
