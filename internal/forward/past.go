package forward

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/fastblas"
	"github.com/mha2mla/mha2mla/internal/vector"
)

// Past is the KV cache of a layer, for sequences that run through it side by side, one token
// of each at a time: the keys after RoPE and the values of every position.
type Past struct {
	attention    *grouped
	keys, values []f32.Matrix // [sequences · G] of [room × D]
	position     int          // of the next token
}

// NewPast makes room for that many sequences of up to room tokens. It is an error if the
// layer has latent attention.
func (l *Layer) NewPast(sequences, room int) (*Past, error) {
	a, ok := l.attention.(*grouped)
	if !ok {
		return nil, errors.New("latent attention runs on whole sequences")
	}
	p := &Past{attention: a}
	for range sequences * a.KVHeads {
		p.keys, p.values = append(p.keys, f32.New(room, a.HeadDim)), append(p.values, f32.New(room, a.HeadDim))
	}
	return p, nil
}

// Step runs the layer on the next token of each of the first x.Rows sequences of p. It
// changes their residual streams x, [sequences × d], in place as Forward would. A sequence
// that is left out once has ended, so that no later call may have more rows. Errors are those
// of MLP.
func (l *Layer) Step(x f32.Matrix, p *Past) error {
	x.Add(p.attend(x))
	return l.addMLP(x)
}

// attend adds the keys and values of x to the past, and returns what the attention then adds
// to x.
func (p *Past) attend(x f32.Matrix) f32.Matrix {
	a := p.attention
	q, k, v := a.project(x, Observer{})
	turn := f32.NewRotation(a.frequency, p.position, 1)
	D, J := a.HeadDim, a.HeadDim/2
	out := f32.New(x.Rows, a.Heads*D)
	fastblas.Each(x.Rows, func(s int) {
		for head := range a.Heads {
			turn.Apply(q.RowsFrom(s, 1), head*D, 1, J)
		}
		for head := range a.KVHeads {
			turn.Apply(k.RowsFrom(s, 1), head*D, 1, J)
			a.cached(k.RowsFrom(s, 1).ColumnsFrom(head*D, D))
			a.cached(v.RowsFrom(s, 1).ColumnsFrom(head*D, D))
			at := p.position * D
			copy(p.keys[s*a.KVHeads+head].Data[at:at+D], k.Data[s*k.Stride+head*D:])
			copy(p.values[s*a.KVHeads+head].Data[at:at+D], v.Data[s*v.Stride+head*D:])
		}
		p.mix(out.Data[s*out.Stride:], q.Data[s*q.Stride:], s)
	})
	p.position++
	return affine(out, a.o, a.oBias)
}

// mix sets out, [H·D], to the values that the heads of sequence s attend to with the queries
// q, [H·D], weighted by the probabilities.
func (p *Past) mix(out, q []float32, s int) {
	a := p.attention
	D, first, end := a.HeadDim, 0, p.position+1
	if a.window > 0 {
		first = max(0, end-a.window)
	}
	scores := make([]float32, end-first)
	column := func(v []float32) blas32.Vector { return blas32.Vector{N: len(v), Inc: 1, Data: v} }
	for head := range a.Heads {
		kv := s*a.KVHeads + a.KVHead(head)
		blas32.Gemv(blas.NoTrans, float32(1/math.Sqrt(float64(D))), f32.Raw(p.keys[kv].RowsFrom(first, end-first)), column(q[head*D:(head+1)*D]), 0, column(scores))
		vector.Softmax(scores)
		blas32.Gemv(blas.Trans, 1, f32.Raw(p.values[kv].RowsFrom(first, end-first)), column(scores), 0, column(out[head*D:(head+1)*D]))
	}
}
