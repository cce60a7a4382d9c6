package family

import (
	"slices"

	"gonum.org/v1/gonum/mat"
)

// Shape holds the sizes of an attention layer, by the letters of design §2.
type Shape struct {
	Hidden  int // d
	Heads   int // H
	KVHeads int // G
	HeadDim int // D
}

// Group returns H/G, the number of query heads that share a KV head.
func (s Shape) Group() int { return s.Heads / s.KVHeads }

// KVHead returns g(h), the KV head of query head h.
func (s Shape) KVHead(h int) int { return h / s.Group() }

// Shape returns the sizes of the model's attention layers, which are all alike.
func (m *Model) Shape() Shape { return Shape{m.Hidden, m.Heads, m.KVHeads, m.HeadDim} }

// Attention reads the weights of one attention layer of a model without latent attention.
// Each call reads from the disk. It returns an error if the file cannot be read or holds
// values that are not finite.
type Attention struct {
	model *Model
	layer int
}

// Attention returns the attention of layer n.
func (m *Model) Attention(n int) *Attention { return &Attention{m, n} }

// Shape returns the sizes of the layer.
func (a *Attention) Shape() Shape { return a.model.Shape() }

// Norm returns γ, the weight of the norm before the layer, [d].
func (a *Attention) Norm() ([]float64, error) { return a.vector(InputNorm) }

// Query returns W_q^h, the projection to the queries of head h, [D × d].
func (a *Attention) Query(h int) (*mat.Dense, error) {
	return a.rows(QProj, h*a.model.HeadDim, (h+1)*a.model.HeadDim)
}

// KeyValue returns the projections to keys and values as one matrix, [2·G·D × d]: the
// rows of W_k^g for all KV heads, and below them the rows of W_v^g.
func (a *Attention) KeyValue() (*mat.Dense, error) {
	rows, d := a.model.KVHeads*a.model.HeadDim, a.model.Hidden
	stack := make([]float64, 2*rows*d)
	if err := ReadFinite(a.tensor(KProj), 0, stack[:rows*d]); err != nil {
		return nil, err
	}
	if err := ReadFinite(a.tensor(VProj), 0, stack[rows*d:]); err != nil {
		return nil, err
	}
	return mat.NewDense(2*rows, d, stack), nil
}

// OutputRows returns the rows of the output projection W_o from one up to but not
// including another, [to−from × H·D].
func (a *Attention) OutputRows(from, to int) (*mat.Dense, error) {
	return a.rows(OProj, from, to)
}

// Biases are the constants that the projections of an attention layer add.
type Biases struct {
	Query  []float64 // [H·D]
	Key    []float64 // [G·D]
	Value  []float64 // [G·D]
	Output []float64 // [d]; nil if the output projection adds none
}

// Biases returns the biases of the layer; nil if it has none.
func (a *Attention) Biases() (*Biases, error) {
	if !a.model.Biases {
		return nil, nil
	}
	b := new(Biases)
	names, into := []string{QBias, KBias, VBias}, []*[]float64{&b.Query, &b.Key, &b.Value}
	if a.model.OutputBias {
		names, into = append(names, OBias), append(into, &b.Output)
	}
	for i, name := range names {
		var err error
		if *into[i], err = a.vector(name); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// HeadNorms are the norms that queries and keys pass before they are rotated.
type HeadNorms struct {
	Query []float64 // weights, [H·D]
	Key   []float64 // [G·D]
	Wide  bool      // a norm is one of all heads together, not of each
}

// HeadNorms returns the norms on queries and keys; nil if there are none.
func (a *Attention) HeadNorms() (*HeadNorms, error) {
	if !a.model.HeadNorms {
		return nil, nil
	}
	query, err := a.vector(QNorm)
	if err != nil {
		return nil, err
	}
	key, err := a.vector(KNorm)
	if !a.model.WideNorms { // all heads have the same weights
		query, key = slices.Repeat(query, a.model.Heads), slices.Repeat(key, a.model.KVHeads)
	}
	return &HeadNorms{query, key, a.model.WideNorms}, err
}

// vector reads a weight of one dimension.
func (a *Attention) vector(name string) ([]float64, error) {
	t := a.tensor(name)
	v := make([]float64, t.Elements())
	return v, ReadFinite(t, 0, v)
}

func (a *Attention) tensor(name string) *Weight {
	return a.model.Weight(InLayer(a.layer, name))
}

// rows reads the rows of a projection from one up to but not including another.
func (a *Attention) rows(name string, from, to int) (*mat.Dense, error) {
	t := a.tensor(name)
	width := int(t.Shape[1])
	data := make([]float64, (to-from)*width)
	if err := ReadFinite(t, int64(from*width), data); err != nil {
		return nil, err
	}
	return mat.NewDense(to-from, width, data), nil
}
