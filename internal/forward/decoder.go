package forward

import (
	"errors"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
)

// Decoder runs one model.
type Decoder struct {
	*family.Model
	// Cached, if not nil, rewrites in place the vectors that an engine would cache, a
	// row for each token. In a layer of latent attention these are the latent after its
	// norm and the rotary key after its rotation, else the keys after RoPE and the
	// values, head by head. It is called concurrently.
	Cached func(vectors f32.Matrix)
	// Holds has experts stay in memory once they are read. Otherwise each is read anew whenever
	// tokens pass it, and one is in memory at a time.
	Holds bool
}

// Embed returns the embeddings of tokens, [T × d]. Token ids must be below the size of the
// vocabulary. Errors are those of reading the table.
func (d Decoder) Embed(tokens []int) (f32.Matrix, error) {
	table := d.Weight(family.Embedding)
	x := f32.New(len(tokens), d.Hidden)
	for i, id := range tokens {
		if err := family.ReadValues(table, int64(id)*int64(d.Hidden), x.Data[i*d.Hidden:(i+1)*d.Hidden]); err != nil {
			return f32.Matrix{}, err
		}
	}
	return x, nil
}

// Finish applies the final norm, after which the head projects, to x, [T × d], in place.
func (d Decoder) Finish(x f32.Matrix) error {
	gamma, err := d.vector(family.FinalNorm)
	if err != nil {
		return err
	}
	f32.RMSNorm(x, x, gamma, d.NormEps)
	return nil
}

// HeadRows returns the rows of the head for the token ids from up to to, [n × d].
func (d Decoder) HeadRows(from, to int) (f32.Matrix, error) {
	rows := f32.New(to-from, d.Hidden)
	return rows, family.ReadValues(d.Weight(family.Head), int64(from)*int64(d.Hidden), rows.Data)
}

// Logits runs the whole model on one sequence and returns, for each of its tokens, the
// logits of the next one, [T × vocabulary]. Errors are those of reading the weights.
func (d Decoder) Logits(tokens []int) (f32.Matrix, error) {
	x, err := d.Embed(tokens)
	if err != nil {
		return f32.Matrix{}, err
	}
	for n := range d.Layers {
		l, err := d.Layer(n)
		if err != nil {
			return f32.Matrix{}, err
		}
		if _, err := l.Forward(x); err != nil {
			return f32.Matrix{}, err
		}
	}
	if err := d.Finish(x); err != nil {
		return f32.Matrix{}, err
	}
	head, err := d.HeadRows(0, d.Vocab)
	return f32.Project(x, head), err
}

// Layer is one decoder layer with its weights in memory.
type Layer struct {
	attention
	*Around
}

// Layer reads layer n. Errors are those of reading its weights.
func (d Decoder) Layer(n int) (*Layer, error) {
	l := &Layer{}
	r := layerReader{Decoder: d, layer: n}
	switch {
	case d.MLA != nil:
		l.attention = r.latent()
	case d.PerHead != nil:
		l.attention = r.perHead()
	default:
		l.attention = r.grouped()
	}
	l.Around = r.around()
	return l, r.err
}

// attention is the attention of a layer, norm included.
type attention interface {
	// Attend returns what the attention adds to the residual stream x, [T × d],
	// of one sequence that begins at position 0.
	Attend(x f32.Matrix) f32.Matrix
}

// Forward runs the layer on the residual stream x, [T × d], of one sequence, in place, and
// returns what its attention has added, [T × d]. Errors are those of MLP.
func (l *Layer) Forward(x f32.Matrix) (attended f32.Matrix, err error) {
	attended = l.Attend(x)
	x.Add(attended)
	return attended, l.addMLP(x)
}

// addMLP adds to the residual stream x what the MLP does.
func (l *Around) addMLP(x f32.Matrix) error {
	y, err := l.MLP(x)
	if err == nil {
		x.Add(y)
	}
	return err
}

// Observer sees the activations inside the attention of a layer. Any function may be nil.
// The functions may read the matrices until they return.
type Observer struct {
	// Input sees the attention input, after the norm, [T × d].
	Input func(x f32.Matrix)
	// Heads sees the queries and the keys of all heads, [T × H·D] and [T × G·D],
	// before their norms, if they have any, and before they are rotated.
	Heads func(q, k f32.Matrix, headDim int)
	// Rotary sees the same, rotated.
	Rotary func(q, k f32.Matrix, headDim int)
	// Head returns the function that sees head h. It is called with the attention
	// probabilities of some queries from the given one on, [queries × keys], the values,
	// [T × D], and the values mixed by the probabilities, [queries × D]. Queries come in
	// their order. The functions of several heads may be called at the same time.
	Head func(h int) func(from int, probabilities, values, mixed f32.Matrix)
}

// Observe is Forward with an observer. It is an error, too, if the layer has latent attention.
func (l *Layer) Observe(x f32.Matrix, o Observer) error {
	a, ok := l.attention.(*grouped)
	if !ok {
		return errors.New("latent attention cannot be observed")
	}
	x.Add(a.observe(x, o))
	return l.addMLP(x)
}

// layerReader reads the tensors of one layer and keeps the first error.
type layerReader struct {
	Decoder
	layer int
	err   error
}

// cached returns the decoder's hook, or one that does nothing.
func (r *layerReader) cached() func(f32.Matrix) {
	if r.Cached == nil {
		return func(f32.Matrix) {}
	}
	return r.Cached
}

// vector reads a tensor of one dimension by its name within the layer.
func (r *layerReader) vector(name string) []float32 {
	if r.err != nil {
		return nil
	}
	v, err := r.Decoder.vector(family.InLayer(r.layer, name))
	r.err = err
	return v
}

// matrix reads a tensor of two dimensions by its name within the layer.
func (r *layerReader) matrix(name string) f32.Matrix {
	if r.err != nil {
		return f32.Matrix{}
	}
	t := r.Weight(family.InLayer(r.layer, name))
	m := f32.New(int(t.Shape[0]), int(t.Shape[1]))
	r.err = family.ReadValues(t, 0, m.Data)
	return m
}

// vector reads a tensor of one dimension.
func (d Decoder) vector(name string) ([]float32, error) {
	t := d.Weight(name)
	v := make([]float32, t.Elements())
	return v, family.ReadValues(t, 0, v)
}
