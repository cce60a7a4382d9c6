package family

import (
	"fmt"
	"strings"
)

// MoE describes the experts of a model. In the layers from First on, they take the place of the
// MLP: a router chooses some of them for each token, and mixes what they return (design §8).
type MoE struct {
	Experts int     `json:"n_routed_experts"`        // E
	Chosen  int     `json:"num_experts_per_tok"`     // how many of them a token passes
	Width   int     `json:"moe_intermediate_size"`   // of each
	Shared  int     `json:"shared_width"`            // width of an MLP that all tokens pass beside them; 0: there is none
	First   int     `json:"first_k_dense_replace"`   // the first layer that has experts
	Score   Score   `json:"scoring_func"`            // of the router's logits; experts of the largest scores are chosen
	Bias    bool    `json:"e_score_correction_bias"` // a constant of each expert is added to its score for the choice alone
	Renorm  bool    `json:"norm_topk_prob"`          // the scores of the chosen experts are divided by their sum
	Scale   float64 `json:"routed_scaling_factor"`   // what they return is multiplied by it
}

// Score is the function that makes scores of a router's logits.
type Score string

// The two functions that engines know.
const (
	Softmax Score = "softmax" // over all experts
	Sigmoid Score = "sigmoid"
)

// These are the names of a layer's tensors that routers and experts have, after the prefix of
// the layer.
const (
	Router     = "mlp.gate.weight"
	RouterBias = "mlp.gate.e_score_correction_bias"
	shared     = "mlp.shared_experts."
)

// OfExpert returns the name that a projection of an MLP, such as GateProj, has in an expert.
func OfExpert(expert int, name string) string {
	return fmt.Sprintf("mlp.experts.%d.%s", expert, strings.TrimPrefix(name, "mlp."))
}

// OfShared returns the name that a projection of an MLP has in the MLP that all tokens pass
// beside the experts.
func OfShared(name string) string { return shared + strings.TrimPrefix(name, "mlp.") }

// HasExperts reports whether layer n has experts.
func (m *Model) HasExperts(n int) bool { return m.MoE != nil && n >= m.MoE.First }

// MLPTensors returns the names and shapes of the tensors that make up the MLP of layer n, its
// experts included. The names have no prefix.
func (m *Model) MLPTensors(n int) []TensorShape {
	d := int64(m.Hidden)
	gated := func(named func(string) string, width int) []TensorShape {
		w := int64(width)
		return []TensorShape{{named(GateProj), []int64{w, d}}, {named(UpProj), []int64{w, d}}, {named(DownProj), []int64{d, w}}}
	}
	if !m.HasExperts(n) {
		return gated(func(name string) string { return name }, m.Intermediate)
	}
	e := m.MoE
	all := []TensorShape{{Router, []int64{int64(e.Experts), d}}}
	if e.Bias {
		all = append(all, TensorShape{RouterBias, []int64{int64(e.Experts)}})
	}
	if e.Shared > 0 {
		all = append(all, gated(OfShared, e.Shared)...)
	}
	for i := range e.Experts {
		all = append(all, gated(func(name string) string { return OfExpert(i, name) }, e.Width)...)
	}
	return all
}

// Returns reports whether a tensor of an MLP, by its name, is one whose products are added to
// the residual stream.
func Returns(name string) bool {
	return strings.HasSuffix(name, ".down_proj.weight")
}

// Inner returns the width of the widest MLP that is in memory at a time. Of the experts of a
// layer that is one, beside the MLP that all tokens pass.
func (m *Model) Inner() int {
	switch e := m.MoE; {
	case e == nil:
		return m.Intermediate
	case e.First > 0:
		return max(m.Intermediate, e.Width+e.Shared)
	default:
		return e.Width + e.Shared
	}
}

// expertise reads what the configuration says of experts, by the keys that most classes have
// for it. The number of experts has the given key; where it is not there, it may have that
// which newer versions of Transformers write for some classes. What m.MoE has already is what
// the class takes where a key is not there.
func (f *fields) expertise(m *Model, experts string) {
	e := m.MoE
	if !f.Has(experts) {
		experts = "num_local_experts"
	}
	e.Experts = f.integer(experts, e.Experts)
	e.Chosen = f.integer("num_experts_per_tok", e.Chosen)
	e.Width = f.integer("moe_intermediate_size", e.Width)
	e.Renorm = f.truth("norm_topk_prob", e.Renorm)
	e.Scale = f.number("routed_scaling_factor", e.Scale)
	f.checkExperts(m, experts)
}

// checkExperts makes sure of the numbers of experts.
func (f *fields) checkExperts(m *Model, experts string) {
	const most = 1 << 16 // the tensors of all experts are listed, so a false number would fill the memory
	e := m.MoE
	f.check(e.Experts > 1 && e.Experts <= most, "%q is %d and must be from 2 to 2^16", experts, e.Experts)
	f.check(e.Chosen <= e.Experts, "%q is %d of %d experts", "num_experts_per_tok", e.Chosen, e.Experts)
}

// sharedWidth sets the width of the MLP that all tokens pass, which the configuration gives as
// a number of experts.
func (f *fields) sharedWidth(m *Model, fallback int) {
	n := f.whole("n_shared_experts", fallback)
	f.check(n >= 0 && n <= 1<<16, "%q is %d and must be from 0 to 2^16", "n_shared_experts", n)
	m.MoE.Shared = n * m.MoE.Width
}

// firstExperts reads which layer is the first to have experts; fallback if nothing is said.
func (f *fields) firstExperts(m *Model, fallback int) {
	m.MoE.First = f.whole("first_k_dense_replace", fallback)
	f.check(m.MoE.First >= 0, "%q is %d and must not be negative", "first_k_dense_replace", m.MoE.First)
	if m.MoE.First >= m.Layers {
		m.MoE = nil // no layer has experts
	}
}

// ungrouped returns an error if experts are chosen by groups.
func (f *fields) ungrouped() error {
	if n := f.integer("n_group", 1); n != 1 && f.err == nil {
		return &UnsupportedError{fmt.Sprintf("%q is %d: experts that are chosen by groups are not supported", "n_group", n), "choose a model whose experts are in one group"}
	}
	return nil
}

// deepseekKeys reads what a class says of its experts by the keys of a DeepSeek. Shared is how many
// experts all tokens pass and first the first layer with experts, where the keys are not there.
func (f *fields) deepseekKeys(m *Model, shared, first int) error {
	f.expertise(m, "n_routed_experts")
	f.sharedWidth(m, shared)
	f.firstExperts(m, first)
	return f.ungrouped()
}
