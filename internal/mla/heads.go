package mla

import (
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/lowrank"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Heads gives the weights of the query heads of a converted layer that neither keys nor
// values need: their queries, and the output projection. They are in closed form, computed
// from the source's weights whenever they are asked for, until healing puts its own weights
// in their place.
type Heads interface {
	// Query returns the projections to the content query and to the rotary query of head h,
	// [n × d] and [p × d]. If the query is compressed they project from that, and have
	// q_lora_rank columns, or with a norm between those of the head's own part. A projection that
	// would have no rows is nil. It is an error if the source cannot be read.
	Query(h int) (content, rotary *mat.Dense, err error)
	// Output returns rows of W_o, [to−from × H·D]. It is an error if the source cannot be
	// read.
	Output(from, to int) (*mat.Dense, error)
}

// sharedForm is the closed form of heads that share one rotary key (design §4). The content
// query is the source's query turned by its Rest. The rotary query is the transpose of the
// KV head's rows of Expand times the source's query.
type sharedForm struct {
	source     calib.Projections
	key        *rope.SharedKey
	rest       []rope.Rest      // [H]
	compressed *lowrank.Factors // those of the stacked queries, [H·D × d]; nil if they are not compressed
	normed     bool             // queries are what they are compressed to
}

// Query returns the projections of head h, [D × d] and [dr × d], or with q_lora_rank
// columns.
func (f *sharedForm) Query(h int) (content, rotary *mat.Dense, err error) {
	s := f.source.Shape()
	var q *mat.Dense
	switch {
	case f.normed:
		q = identity(s.HeadDim)
	case f.compressed != nil:
		q = block(f.compressed.Up, h, s.HeadDim)
	default:
		if q, err = f.source.Query(h); err != nil {
			return nil, nil, err
		}
	}
	var turned mat.Dense
	turned.Mul(block(f.key.Expand, s.KVHead(h), s.HeadDim).T(), q)
	return f.rest[h].Turn(q), &turned, nil
}

// Output returns rows of the source's W_o.
func (f *sharedForm) Output(from, to int) (*mat.Dense, error) { return f.source.OutputRows(from, to) }

// perHeadForm is the closed form of heads where each KV head has a rotary key. Some rows of
// the source's query are the rotary query, and the others, turned by their Rest, the content
// query.
type perHeadForm struct {
	source calib.Projections
	keys   *rope.HeadKeys
	rest   []rope.Rest // [H]
}

// Query returns the projections of head h, [D−dr × d] and [dr × d].
func (f *perHeadForm) Query(h int) (content, rotary *mat.Dense, err error) {
	q, err := f.source.Query(h)
	if err != nil {
		return nil, nil, err
	}
	s := f.source.Shape()
	turning, still := headRows(f.keys.Kept[s.KVHead(h)], s.HeadDim)
	return gather(f.rest[h].Turn(q), still), gather(q, turning), nil
}

// Output returns rows of the source's W_o.
func (f *perHeadForm) Output(from, to int) (*mat.Dense, error) { return f.source.OutputRows(from, to) }

// identity returns the identity of order n.
func identity(n int) *mat.Dense {
	m := mat.NewDense(n, n, nil)
	for i := range n {
		m.Set(i, i, 1)
	}
	return m
}

// block returns block k of the rows of m, in blocks of n rows.
func block(m *mat.Dense, k, n int) *mat.Dense {
	_, c := m.Dims()
	return m.Slice(k*n, (k+1)*n, 0, c).(*mat.Dense)
}
