package forward

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
)

// naive is the forward pass of both classes in float64, one number at a time,
// from their published definitions. It shares no arithmetic with the decoder.
type naive struct {
	*family.Model
	weights map[string][]float64
}

func newNaive(t testing.TB, m *family.Model) *naive {
	t.Helper()
	n := &naive{m, make(map[string][]float64)}
	for _, tensor := range m.Source.Tensors() {
		values := make([]float64, tensor.Elements())
		if err := checkpoint.Read(tensor, 0, values); err != nil {
			t.Fatal(err)
		}
		n.weights[tensor.Name] = values
	}
	return n
}

// linear returns W·x for the named weight, plus its bias if there is one.
func (n *naive) linear(name string, x []float64) []float64 {
	w := n.weights[name]
	y := make([]float64, len(w)/len(x))
	for i := range y {
		for j, v := range x {
			y[i] += w[i*len(x)+j] * v
		}
	}
	for i, b := range n.weights[strings.TrimSuffix(name, "weight")+"bias"] {
		y[i] += b
	}
	return y
}

func (n *naive) norm(name string, x []float64, eps float64) []float64 {
	square := 0.0
	for _, v := range x {
		square += v * v / float64(len(x))
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = v / math.Sqrt(square+eps) * n.weights[name][i]
	}
	return y
}

// turn rotates the pairs (re(i), im(i)) of x by position·θ^(−2i/dim), scaled as
// DeepSeek-V3's own modelling code does if the model asks for yarn.
func (n *naive) turn(x []float64, position int, re, im func(i int) int) {
	for i := range len(x) / 2 {
		angle := float64(position) * math.Pow(n.RopeTheta, -2*float64(i)/float64(len(x)))
		if y := n.Rope; y != nil {
			bound := func(rotations float64) float64 {
				return float64(len(x)) * math.Log(y.Original/(rotations*2*math.Pi)) / (2 * math.Log(n.RopeTheta))
			}
			low, high := math.Max(math.Floor(bound(y.High)), 0), math.Min(math.Ceil(bound(y.Low)), float64(len(x)-1))
			mask := 1 - math.Min(1, math.Max(0, (float64(i)-low)/(high-low)))
			angle = angle/y.Factor*(1-mask) + angle*mask
		}
		a, b := x[re(i)], x[im(i)]
		x[re(i)], x[im(i)] = a*math.Cos(angle)-b*math.Sin(angle), a*math.Sin(angle)+b*math.Cos(angle)
	}
}

// head is what one head holds for one token.
type head struct{ q, k, v []float64 }

// heads returns the heads of one token of an input to the attention.
func (n *naive) heads(prefix string, x []float64, position int) []head {
	all := make([]head, n.Heads)
	if n.PerHead != nil {
		return n.perHead(prefix, x, position)
	}
	if n.MLA == nil {
		q, k, v := n.linear(prefix+"q_proj.weight", x), n.linear(prefix+"k_proj.weight", x), n.linear(prefix+"v_proj.weight", x)
		D := n.HeadDim
		for h := range all {
			g := h / (n.Heads / n.KVHeads)
			all[h] = head{clone(q[h*D : (h+1)*D]), clone(k[g*D : (g+1)*D]), v[g*D : (g+1)*D]}
			for _, part := range [][]float64{all[h].q, all[h].k} { // halves
				n.turn(part, position, func(i int) int { return i }, func(i int) int { return i + D/2 })
			}
		}
		return all
	}
	var q []float64
	if n.MLA.QLoraRank > 0 {
		q = n.linear(prefix+"q_b_proj.weight", n.norm(prefix+"q_a_layernorm.weight", n.linear(prefix+"q_a_proj.weight", x), 1e-6))
	} else {
		q = n.linear(prefix+"q_proj.weight", x)
	}
	a := n.linear(prefix+"kv_a_proj_with_mqa.weight", x)
	rotary := clone(a[n.MLA.KVLoraRank:])
	even, odd := func(i int) int { return 2 * i }, func(i int) int { return 2*i + 1 }
	n.turn(rotary, position, even, odd) // interleaved
	b := n.linear(prefix+"kv_b_proj.weight", n.norm(prefix+"kv_a_layernorm.weight", a[:n.MLA.KVLoraRank], 1e-6))
	nope, dv := n.MLA.NopeDim, n.MLA.ValueDim
	for h := range all {
		query := clone(q[h*(nope+len(rotary)) : (h+1)*(nope+len(rotary))])
		n.turn(query[nope:], position, even, odd)
		up := b[h*(nope+dv) : (h+1)*(nope+dv)]
		all[h] = head{query, append(clone(up[:nope]), rotary...), up[nope:]}
	}
	return all
}

// perHead returns the heads of one token in the reference's form: every row of
// queries and keys is put back where it was, and the pairs that are kept turn
// there.
func (n *naive) perHead(prefix string, x []float64, position int) []head {
	var layer int
	if _, err := fmt.Sscanf(prefix, "model.layers.%d.", &layer); err != nil {
		panic(err)
	}
	c := n.linear(prefix+"kv_proj.down_k.weight", x)
	cv := n.linear(prefix+"kv_proj.down_v.weight", x)
	if !n.PerHead.Split {
		c = n.linear(prefix+"kv_proj.down_kv.weight", x)
		cv = c
	}
	q, rotary := n.linear(prefix+"q_proj.weight", x), n.linear(prefix+"k_r_proj.weight", x)
	content, v := n.linear(prefix+"kv_proj.up_k.weight", c), n.linear(prefix+"kv_proj.up_v.weight", cv)
	D, group := n.HeadDim, n.Heads/n.KVHeads
	next := func(from *[]float64) (v float64) { v, *from = (*from)[0], (*from)[1:]; return v }
	turns := make([][]bool, n.KVHeads) // which rows are rotary
	for g, pairs := range n.PerHead.Kept(layer) {
		turns[g] = make([]bool, D)
		for _, i := range pairs {
			turns[g][i], turns[g][i+D/2] = true, true
		}
	}
	keys := make([][]float64, n.KVHeads)
	for g := range keys {
		for i := range D {
			if turns[g][i] {
				keys[g] = append(keys[g], next(&rotary))
			} else {
				keys[g] = append(keys[g], next(&content))
			}
		}
	}
	all := make([]head, n.Heads)
	for _, first := range []bool{true, false} { // the rotary rows of all heads come first
		for h := range all {
			if first {
				all[h] = head{make([]float64, D), clone(keys[h/group]), v[h/group*D : (h/group+1)*D]}
			}
			for i := range D {
				if turns[h/group][i] == first {
					all[h].q[i] = next(&q)
				}
			}
		}
	}
	for h := range all {
		for i := range D / 2 {
			if turns[h/group][i] {
				angle := float64(position) * math.Pow(n.RopeTheta, -2*float64(i)/float64(D))
				for _, part := range [][]float64{all[h].q, all[h].k} {
					a, b := part[i], part[i+D/2]
					part[i], part[i+D/2] = a*math.Cos(angle)-b*math.Sin(angle), a*math.Sin(angle)+b*math.Cos(angle)
				}
			}
		}
	}
	return all
}

func clone(x []float64) []float64 { return append([]float64(nil), x...) }

// logits runs the model on one sequence.
func (n *naive) logits(tokens []int) [][]float64 {
	stream := make([][]float64, len(tokens))
	for t, id := range tokens {
		stream[t] = clone(n.weights[family.Embedding][id*n.Hidden : (id+1)*n.Hidden])
	}
	for l := range n.Layers {
		p := fmt.Sprintf("model.layers.%d.", l)
		past := make([][]head, len(tokens))
		for t, x := range stream {
			past[t] = n.heads(p+"self_attn.", n.norm(p+"input_layernorm.weight", x, n.NormEps), t)
			var mixed []float64
			for h, now := range past[t] {
				mixed = append(mixed, n.attend(now.q, past[:t+1], h)...)
			}
			x = add(x, n.linear(p+"self_attn.o_proj.weight", mixed))
			stream[t] = add(x, n.mlp(p, n.norm(p+"post_attention_layernorm.weight", x, n.NormEps)))
		}
	}
	name := family.Head
	if n.TiedHead {
		name = family.Embedding
	}
	out := make([][]float64, len(tokens))
	for t, x := range stream {
		out[t] = n.linear(name, n.norm(family.FinalNorm, x, n.NormEps))
	}
	return out
}

// mlp is the MLP of a layer, or its experts.
func (n *naive) mlp(layer string, x []float64) []float64 {
	if _, ok := n.weights[layer+"mlp.gate.weight"]; !ok {
		return n.gated(layer+"mlp.", x)
	}
	sum := make([]float64, len(x))
	if n.MoE.Shared > 0 {
		sum = n.gated(layer+"mlp.shared_experts.", x)
	}
	for i, weight := range n.mixture(n.linear(layer+"mlp.gate.weight", x), n.weights[layer+"mlp.gate.e_score_correction_bias"]) {
		for j, v := range n.gated(fmt.Sprintf("%smlp.experts.%d.", layer, i), x) {
			sum[j] += weight * v
		}
	}
	return sum
}

// gated is an MLP whose names begin with a prefix.
func (n *naive) gated(prefix string, x []float64) []float64 {
	gate, up := n.linear(prefix+"gate_proj.weight", x), n.linear(prefix+"up_proj.weight", x)
	for i, g := range gate {
		up[i] *= g / (1 + math.Exp(-g))
	}
	return n.linear(prefix+"down_proj.weight", up)
}

// mixture returns the weights of the experts that are chosen, by their numbers: one after the
// other, the best of those that are left.
func (n *naive) mixture(logits, bias []float64) map[int]float64 {
	scores, total := make([]float64, len(logits)), 0.0
	for i, z := range logits {
		scores[i] = 1 / (1 + math.Exp(-z))
		if n.MoE.Score == family.Softmax {
			scores[i] = math.Exp(z)
		}
		total += scores[i]
	}
	if n.MoE.Score == family.Sigmoid {
		total = 1
	}
	chosen, sum := make(map[int]float64), 0.0
	for range n.MoE.Chosen {
		best, most := -1, math.Inf(-1)
		for i, s := range scores {
			worth := s / total
			if bias != nil {
				worth += bias[i]
			}
			if _, taken := chosen[i]; !taken && worth > most {
				best, most = i, worth
			}
		}
		chosen[best] = scores[best] / total
		sum += chosen[best]
	}
	for i := range chosen {
		chosen[i] *= n.MoE.Scale
		if n.MoE.Renorm {
			chosen[i] /= sum
		}
	}
	return chosen
}

func add(x, y []float64) []float64 {
	z := clone(x)
	for i, v := range y {
		z[i] += v
	}
	return z
}

// attend mixes the values of head h of the past by softmax of the scores.
func (n *naive) attend(q []float64, past [][]head, h int) []float64 {
	scale := 1 / math.Sqrt(float64(len(q)))
	if n.Rope != nil { // mscale_all_dim is 1
		scale *= math.Pow(0.1*math.Log(n.Rope.Factor)+1, 2)
	}
	scores, sum := make([]float64, len(past)), 0.0
	for s := range past {
		for i, v := range q {
			scores[s] += v * past[s][h].k[i] * scale
		}
		scores[s] = math.Exp(scores[s])
		sum += scores[s]
	}
	mixed := make([]float64, len(past[0][h].v))
	for s := range past {
		for i, v := range past[s][h].v {
			mixed[i] += scores[s] / sum * v
		}
	}
	return mixed
}
