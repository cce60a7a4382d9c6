package calib

import (
	"context"
	"runtime"

	"golang.org/x/sync/errgroup"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/decoder"
	"github.com/mha2mla/mha2mla/internal/family"
)

// Sums are statistics of one layer, added up over tokens.
type Sums struct {
	Tokens    float64
	Input     *mat.SymDense // [d × d]: Σ x xᵀ over the attention inputs x
	Mean      []float64     // [d]: Σ x
	Distances []float64     // Σ over heads and queries of the attention at each distance
	Scores    []float64     // [H]: Σ_s Σ_t a_st² ‖W_o(v_t − o_s)‖² over queries s and keys t
	Values    []float64     // [H]: Σ_s Σ_t a_st²
}

// windowsAtOnce is how many windows go through a layer before what they add is
// summed up. It is fixed, so that sums do not depend on the number of processors.
const windowsAtOnce = 8

// Collect runs m on windows of tokens, one layer after the other, and hands the
// sums of each layer to take.
func Collect(ctx context.Context, m *family.Model, windows [][]int, take func(layer int, s *Sums) error, progress func(done, total int64)) error {
	d := decoder.Decoder{Model: m}
	streams := make([]decoder.Matrix, len(windows))
	longest := 0
	for i, tokens := range windows {
		var err error
		if streams[i], err = d.Embed(tokens); err != nil {
			return err
		}
		longest = max(longest, len(tokens))
	}
	for n := range m.Layers {
		layer, err := d.Layer(n)
		if err != nil {
			return err
		}
		c := &collector{layer: layer, sums: newSums(m.Shape(), longest)}
		if c.roots, err = outputRoots(m.Attention(n)); err != nil {
			return err
		}
		for from := 0; from < len(streams); from += windowsAtOnce {
			if err := c.group(ctx, streams[from:min(from+windowsAtOnce, len(streams))]); err != nil {
				return err
			}
		}
		if err := take(n, c.sums); err != nil {
			return err
		}
		if progress != nil {
			progress(int64(n+1), int64(m.Layers))
		}
	}
	return nil
}

func newSums(s family.Shape, longest int) *Sums {
	return &Sums{
		Input: mat.NewSymDense(s.Hidden, nil), Mean: make([]float64, s.Hidden),
		Distances: make([]float64, longest), Scores: make([]float64, s.Heads), Values: make([]float64, s.Heads),
	}
}

// outputRoots returns, per head, L of L·Lᵀ = W_o^hᵀ W_o^h, [D × D]: ‖Lᵀv‖ is
// ‖W_o v‖.
func outputRoots(p Projections) ([]decoder.Matrix, error) {
	squares, err := outputs(p)
	if err != nil {
		return nil, err
	}
	roots := make([]decoder.Matrix, len(squares))
	for h, square := range squares {
		D := square.SymmetricDim()
		roots[h] = decoder.NewMatrix(D, D)
		lift := 1e-12 * mat.Trace(square) / float64(D) // a head may have fewer dimensions than D
		for i := range D {
			square.SetSym(i, i, square.At(i, i)+lift)
		}
		var chol mat.Cholesky
		if !chol.Factorize(square) {
			continue // a dead head
		}
		var lower mat.TriDense
		chol.LTo(&lower)
		for i := range D {
			for j := range D {
				roots[h].Data[i*D+j] = float32(lower.At(i, j))
			}
		}
	}
	return roots, nil
}

// collector adds up one layer.
type collector struct {
	layer *decoder.Layer
	roots []decoder.Matrix
	sums  *Sums
}

// group takes some windows through the layer and adds them to the sums, in their
// order.
func (c *collector) group(ctx context.Context, streams []decoder.Matrix) error {
	seen := make([]*observation, len(streams))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(runtime.GOMAXPROCS(0))
	for i, x := range streams {
		work.Go(func() error {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			o := newObservation(c.roots, x.Rows)
			seen[i] = o
			return c.layer.Observe(x, decoder.Observer{Input: o.input, Head: o.head})
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	for _, o := range seen {
		c.add(o)
	}
	return nil
}

// add adds what was seen of one window.
func (c *collector) add(o *observation) {
	s := c.sums
	T, _ := o.x.Dims()
	s.Tokens += float64(T)
	s.Input.SymRankK(s.Input, 1, o.x.T())
	for t := range T {
		for j, v := range o.x.RawRowView(t) {
			s.Mean[j] += v
		}
	}
	addTo(s.Distances, o.distances)
	addTo(s.Scores, o.scores)
	addTo(s.Values, o.values)
}

func addTo(sum, v []float64) {
	for i, x := range v {
		sum[i] += x
	}
}

// observation is what was seen of one window.
type observation struct {
	roots     []decoder.Matrix
	x         *mat.Dense // [T × d]
	distances []float64
	scores    []float64
	values    []float64
}

func newObservation(roots []decoder.Matrix, tokens int) *observation {
	return &observation{roots: roots, distances: make([]float64, tokens), scores: make([]float64, len(roots)), values: make([]float64, len(roots))}
}

// input keeps the attention input.
func (o *observation) input(x decoder.Matrix) {
	o.x = mat.NewDense(x.Rows, x.Cols, nil)
	for i, v := range x.Data {
		o.x.RawMatrix().Data[i] = float64(v)
	}
}

// head adds up the attention of some queries of one head. With y = Lᵀv,
// ‖W_o(v_t − o_s)‖ is ‖y_t − m_s‖, m_s = Σ_t a_st y_t.
func (o *observation) head(h, from int, p, v decoder.Matrix) {
	y := decoder.NewMatrix(p.Cols, v.Cols)
	v.Rows = p.Cols
	v.Data = v.Data[:(p.Cols-1)*v.Stride+v.Cols]
	blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, v, o.roots[h], 0, y)
	lengths := make([]float64, y.Rows)
	for t := range lengths {
		row := blas32.Vector{N: y.Cols, Inc: 1, Data: y.Data[t*y.Stride : t*y.Stride+y.Cols]}
		lengths[t] = float64(blas32.Dot(row, row))
	}
	mixed, cross := decoder.NewMatrix(p.Rows, y.Cols), decoder.NewMatrix(p.Rows, p.Cols)
	blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, p, y, 0, mixed)
	blas32.Gemm(blas.NoTrans, blas.Trans, 1, mixed, y, 0, cross)
	for s := range p.Rows {
		length := 0.0
		for _, v := range mixed.Data[s*mixed.Stride : s*mixed.Stride+mixed.Cols] {
			length += float64(v) * float64(v)
		}
		for t := 0; t <= from+s; t++ {
			a := float64(p.Data[s*p.Stride+t])
			o.distances[from+s-t] += a
			o.values[h] += a * a
			o.scores[h] += a * a * max(0, lengths[t]-2*float64(cross.Data[s*cross.Stride+t])+length)
		}
	}
}
