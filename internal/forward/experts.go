package forward

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
)

// experts are the experts of a layer, of which a router chooses some for each token.
type experts struct {
	family.MoE
	router f32.Matrix // [E × d]
	bias   []float32  // [E], which counts in the choice alone; nil if there is none
	shared *gated     // that all tokens pass; nil if there is none
	expert func(i int) (*gated, error)
}

// experts reads what a layer has beside its experts, and how to read those.
func (r *layerReader) experts() *experts {
	e := &experts{MoE: *r.MoE, router: r.matrix(family.Router)}
	if e.Bias {
		e.bias = r.vector(family.RouterBias)
	}
	if e.Shared > 0 {
		e.shared = r.gated(family.OfShared)
	}
	decoder, layer := r.Decoder, r.layer
	e.expert = func(i int) (*gated, error) {
		r := layerReader{Decoder: decoder, layer: layer}
		return r.gated(func(name string) string { return family.OfExpert(i, name) }), r.err
	}
	if r.Holds {
		e.hold()
	}
	return e
}

// hold has every expert stay in memory once it is read.
func (e *experts) hold() {
	read := make([]func() (*gated, error), e.Experts)
	for i := range read {
		reads := e.expert
		read[i] = sync.OnceValues(func() (*gated, error) { return reads(i) })
	}
	e.expert = func(i int) (*gated, error) { return read[i]() }
}

// passage is a token that passes an expert, and the weight of what the expert returns.
type passage struct {
	token  int
	weight float32
}

// mix returns what the layer makes of its inputs h, [T × d]. Errors are those of reading the
// experts that are chosen, one after the other.
func (e *experts) mix(h f32.Matrix) (f32.Matrix, error) {
	out := h.Like()
	if e.shared != nil {
		out = e.shared.run(h)
	}
	for i, passing := range e.route(h) {
		if len(passing) == 0 {
			continue
		}
		expert, err := e.expert(i)
		if err != nil {
			return out, err
		}
		in := f32.New(len(passing), h.Cols)
		for k, p := range passing {
			copy(in.Row(k), h.Row(p.token))
		}
		returned := expert.run(in)
		for k, p := range passing {
			to := out.Row(p.token)
			for j, v := range returned.Row(k) {
				to[j] += p.weight * v
			}
		}
	}
	return out, nil
}

// route chooses the experts of each token, and returns which tokens pass each expert, [E].
func (e *experts) route(h f32.Matrix) [][]passage {
	passing := make([][]passage, e.Experts)
	logits := f32.Project(h, e.router)
	order, scores := make([]int, e.Experts), make([]float64, e.Experts)
	for t := range h.Rows {
		e.score(scores, logits.Row(t))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(a, b int) int {
			return cmp.Or(cmp.Compare(e.preferred(scores, b), e.preferred(scores, a)), a-b)
		})
		sum := 1.0
		if e.Renorm {
			sum = 0
			for _, i := range order[:e.Chosen] {
				sum += scores[i]
			}
		}
		for _, i := range order[:e.Chosen] {
			passing[i] = append(passing[i], passage{t, float32(e.Scale * scores[i] / sum)})
		}
	}
	return passing
}

// preferred returns what decides whether expert i is chosen.
func (e *experts) preferred(scores []float64, i int) float64 {
	if e.bias == nil {
		return scores[i]
	}
	return scores[i] + float64(e.bias[i])
}

// score sets scores to those of a token with the given logits.
func (e *experts) score(scores []float64, logits []float32) {
	if e.Score == family.Sigmoid {
		for i, z := range logits {
			scores[i] = 1 / (1 + math.Exp(-float64(z)))
		}
		return
	}
	largest, sum := float64(slices.Max(logits)), 0.0
	for i, z := range logits {
		scores[i] = math.Exp(float64(z) - largest)
		sum += scores[i]
	}
	for i := range scores {
		scores[i] /= sum
	}
}
