package family

import (
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// Shape is the shape of an attention layer.
type Shape struct {
	Hidden  int // d
	Heads   int // H
	KVHeads int // G
	HeadDim int // D
}

// Group is the number of query heads that share a KV head.
func (s Shape) Group() int { return s.Heads / s.KVHeads }

// KVHead is g(h), the KV head of query head h.
func (s Shape) KVHead(h int) int { return h / s.Group() }

// Shape is the shape of the model's attention layers.
func (m *Model) Shape() Shape { return Shape{m.Hidden, m.Heads, m.KVHeads, m.HeadDim} }

// Attention gives the weights of one attention layer of a model without latent
// attention. Each call reads from the disk and refuses values that are not
// finite.
type Attention struct {
	model *Model
	layer int
}

// Attention returns the attention of layer n.
func (m *Model) Attention(n int) *Attention { return &Attention{m, n} }

// Shape is the shape of the layer.
func (a *Attention) Shape() Shape { return a.model.Shape() }

// Norm returns γ, the weight of the norm before the layer, [d].
func (a *Attention) Norm() ([]float64, error) {
	gamma := make([]float64, a.model.Hidden)
	return gamma, checkpoint.ReadFinite(a.tensor(InputNorm), 0, gamma)
}

// Query returns the projection to the queries of head h, [D × d].
func (a *Attention) Query(h int) (*mat.Dense, error) {
	return a.rows(QProj, h*a.model.HeadDim, (h+1)*a.model.HeadDim)
}

// KeyValue returns the projections to keys and values, [2·G·D × d], the keys of
// all KV heads over their values.
func (a *Attention) KeyValue() (*mat.Dense, error) {
	rows, d := a.model.KVHeads*a.model.HeadDim, a.model.Hidden
	stack := make([]float64, 2*rows*d)
	if err := checkpoint.ReadFinite(a.tensor(KProj), 0, stack[:rows*d]); err != nil {
		return nil, err
	}
	if err := checkpoint.ReadFinite(a.tensor(VProj), 0, stack[rows*d:]); err != nil {
		return nil, err
	}
	return mat.NewDense(2*rows, d, stack), nil
}

// OutputRows returns rows from up to to of W_o, [to−from × H·D].
func (a *Attention) OutputRows(from, to int) (*mat.Dense, error) {
	return a.rows(OProj, from, to)
}

func (a *Attention) tensor(name string) *checkpoint.Tensor {
	return a.model.Source.Lookup(InLayer(a.layer, name))
}

// rows reads rows from up to to of a projection.
func (a *Attention) rows(name string, from, to int) (*mat.Dense, error) {
	t := a.tensor(name)
	width := int(t.Shape[1])
	data := make([]float64, (to-from)*width)
	if err := checkpoint.ReadFinite(t, int64(from*width), data); err != nil {
		return nil, err
	}
	return mat.NewDense(to-from, width, data), nil
}
