package distill

import (
	"math"

	"gonum.org/v1/gonum/blas"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/fastblas"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/vector"
)

// head is what stands behind the last layer: the final norm and the projection to logits.
type head struct {
	norm  []float32
	eps   float64
	table f32.Matrix // [vocabulary × d]
}

// newHead reads the head of a model.
func newHead(d forward.Decoder) (*head, error) {
	norm := make([]float32, d.Hidden)
	if err := family.ReadValues(d.Weight(family.FinalNorm), 0, norm); err != nil {
		return nil, err
	}
	table, err := d.HeadRows(0, d.Vocab)
	return &head{norm, d.NormEps, table}, err
}

// positionsAtOnce is how many positions have their logits in memory at a time.
const positionsAtOnce = 256

// compare returns the divergence KL(source‖converted) in nats per token, given what the last
// layers leave in the residual streams of both, [N × d], and, if wanted, its gradient with
// respect to the converted one.
func (h *head) compare(converted, source f32.Matrix, wanted bool) (kl float64, gradient f32.Matrix) {
	if wanted {
		gradient = converted.Like()
	}
	each := make([]float64, min(positionsAtOnce, converted.Rows))
	p, q := f32.New(len(each), h.table.Rows), f32.New(len(each), h.table.Rows)
	for from := 0; from < converted.Rows; from += len(each) {
		n := min(len(each), converted.Rows-from)
		x, p, q := converted.RowsFrom(from, n), p.RowsFrom(0, n), q.RowsFrom(0, n)
		h.logits(p, source.RowsFrom(from, n))
		h.logits(q, x)
		fastblas.Each(n, func(t int) { each[t] = divergence(p.Row(t), q.Row(t), 1/float32(converted.Rows)) })
		for _, own := range each[:n] {
			kl += own
		}
		if wanted {
			into := f32.New(n, x.Cols)
			f32.Product(into, blas.NoTrans, q, blas.NoTrans, h.table, 1, 0)
			f32.RMSNormBack(gradient.RowsFrom(from, n), x, into, h.norm, h.eps)
		}
	}
	return kl / float64(converted.Rows), gradient
}

// logits sets z, [n × vocabulary], to the logits for some positions of a residual stream,
// [n × d].
func (h *head) logits(z, x f32.Matrix) {
	y := x.Like()
	f32.RMSNorm(y, x, h.norm, h.eps)
	f32.ProjectTo(z, y, h.table)
}

// divergence returns KL(p‖q) of one position in nats, given the logits of both, and replaces
// those of q by the gradient with respect to them, times factor: factor·(q − p). Those of p
// become its probabilities.
func divergence(p, q []float32, factor float32) float64 {
	largestP, largestQ := float64(vector.Max(p)), float64(vector.Max(q))
	s := vector.LogSums(p, q, largestP, largestQ)
	kl := s.Cross/s.ExpP - (largestP + math.Log(s.ExpP)) + (largestQ + math.Log(s.ExpQ))
	vector.Softmax(p)
	vector.Softmax(q)
	for i, v := range p {
		q[i] = factor * (q[i] - v)
	}
	return kl
}
