package engine

import (
	"fmt"
	"slices"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/option"
)

// experts complains of numbers of experts at which llama.cpp stops, even for a model without
// experts. Its converter reads the configuration with Transformers, which takes a missing
// number from DeepSeek-V3 itself. Null counts as 0.
func experts(s *subject, _ Engine) (string, option.Text) {
	all, each, groups, chosen := 256, 8, 8, 4
	for key, into := range map[string]*int{"n_routed_experts": &all, "num_experts_per_tok": &each, "n_group": &groups, "topk_group": &chosen} {
		s.decode(key, into)
		if s.named(key) && !s.has(key) {
			*into = 0
		}
	}
	do := option.Plain("set n_routed_experts to 2, and num_experts_per_tok, n_group and topk_group to 1")
	switch {
	case all == 0 && each == 0 && groups == 0:
		return "", nothing
	case each > all || all > 0 && each < 1:
		return fmt.Sprintf("\"num_experts_per_tok\" is %d of %d experts, at which it stops", each, all), do
	case groups >= all:
		return fmt.Sprintf("\"n_group\" is %d of %d experts, at which it stops", groups, all), do
	case groups > 1 && (all%groups != 0 || chosen < 1 || chosen >= groups):
		return fmt.Sprintf("\"n_group\" is %d and \"topk_group\" %d of %d experts, at which it stops", groups, chosen, all), do
	}
	return "", nothing
}

// expertless reports whether no layer has experts.
func (s *subject) expertless() bool { return s.experts >= s.model.Layers }

// second reports whether the class is that of DeepSeek-V2.
func (s *subject) second() bool { return s.class == family.DeepseekV2Class }

// router complains of experts that are weighed otherwise than by the one way that the class has
// in Transformers and mlx-lm: sigmoids in a DeepSeek-V3, and in a DeepSeek-V2 a softmax that is
// not normed again. Neither looks at scoring_func, nor in a DeepSeek-V2 at norm_topk_prob
// (transformers 5.24.0: models/deepseek_v2 and deepseek_v3; mlx-lm 0.32.0: models/deepseek_v2.py
// and deepseek_v3.py).
func router(s *subject, _ Engine) (string, option.Text) {
	score := s.text("scoring_func")
	switch {
	case s.expertless():
		return "", nothing
	case !s.second() && score == "softmax":
		return `"scoring_func" is "softmax", which it does not see: it weighs experts by sigmoids`, nothing
	case s.second() && score == "sigmoid":
		return `"scoring_func" is "sigmoid", which it does not see: it weighs experts by a softmax`, nothing
	case s.second() && s.bool("norm_topk_prob", false):
		return `"norm_topk_prob" is true, which it does not see: the weights of its experts do not add up to 1`, nothing
	}
	return "", nothing
}

// method complains of a way to choose experts at which these two stop: Transformers knows two of
// them in a DeepSeek-V2, mlx-lm one in a DeepSeek-V3 (as read for router).
func method(s *subject, e Engine) (string, option.Text) {
	known := []string{"", "noaux_tc"}
	if s.second() {
		known = []string{"", "greedy", "group_limited_greedy"}
	}
	if m := s.text("topk_method"); !s.expertless() && s.second() == (e == HF) && !slices.Contains(known, m) {
		return fmt.Sprintf("\"topk_method\" is %q, at which it stops", m), nothing
	}
	return "", nothing
}

// shared complains of experts without an MLP that all tokens pass beside them, whose tensors
// llama.cpp looks for (ggml-org/llama.cpp: src/models/deepseek2.cpp).
func shared(s *subject, _ Engine) (string, option.Text) {
	n := 1
	s.decode("n_shared_experts", &n) //nolint:errcheck // another kind of value counts as one
	if s.expertless() || n > 0 && (s.has("n_shared_experts") || !s.named("n_shared_experts")) {
		return "", nothing
	}
	return `"n_shared_experts" names none, and it stops without their tensors`, option.Textf("convert with %v, which writes one of zeros", option.Target.Is(LlamaCPP))
}
