package engine

import (
	"fmt"

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

// router complains of experts that a softmax chooses. Transformers and mlx-lm have sigmoids
// alone, whatever scoring_func says (transformers 5.24.0: models/deepseek_v3; mlx-lm 0.32.0:
// models/deepseek_v3.py).
func router(s *subject, _ Engine) (string, option.Text) {
	if s.experts >= s.model.Layers || s.text("scoring_func") != "softmax" {
		return "", nothing
	}
	return `"scoring_func" is "softmax", which it does not see: it weighs experts by sigmoids`, nothing
}
