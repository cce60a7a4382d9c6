package mla

import (
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/heal"
)

// headQuery returns the projections to the content query and to the rotary query of
// head h, from the compressed query if there is one, [D and dr × d or q_lora_rank].
func (l *Layer) headQuery(p calib.Projections, h int) (content, rotary mat.Matrix, err error) {
	s := p.Shape()
	_, dr := l.Key.Expand.Dims()
	D, g := s.HeadDim, s.KVHead(h)
	if l.healed != nil {
		_, width := l.healed.Query.Dims()
		row := h * (D + dr)
		return l.healed.Query.Slice(row, row+D, 0, width), l.healed.Query.Slice(row+D, row+D+dr, 0, width), nil
	}
	var q *mat.Dense
	if c := l.CompressedQuery; c != nil {
		_, width := c.Up.Dims()
		q = c.Up.Slice(h*D, (h+1)*D, 0, width).(*mat.Dense)
	} else if q, err = p.Query(h); err != nil {
		return nil, nil, err
	}
	var turned mat.Dense
	turned.Mul(l.Key.Expand.Slice(g*D, (g+1)*D, 0, dr).T(), q)
	return l.Rest[h].Turn(q), &turned, nil
}

// headUp returns the projections from the latent to the content keys and to the
// values of query head h, [D × r].
func (l *Layer) headUp(s family.Shape, h int) (keys, values mat.Matrix) {
	r, _ := l.Down.Dims()
	G, D, g := s.KVHeads, s.HeadDim, s.KVHead(h)
	if l.healed != nil {
		return l.healed.UpK.Slice(h*D, (h+1)*D, 0, r), l.healed.UpV.Slice(h*D, (h+1)*D, 0, r)
	}
	return l.Up.Slice(g*D, (g+1)*D, 0, r), l.Up.Slice((G+g)*D, (G+g+1)*D, 0, r)
}

// outputRows returns rows of W_o, those of healed weights if there are any.
func outputRows(p calib.Projections, healed *heal.Weights, from, to int) (*mat.Dense, error) {
	if healed == nil {
		return p.OutputRows(from, to)
	}
	_, c := healed.Output.Dims()
	return healed.Output.Slice(from, to, 0, c).(*mat.Dense), nil
}
