package engine

import (
	"fmt"
	"slices"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// scalings lists the kinds of RoPE scaling that an engine computes as their names say. At
// other kinds, Transformers and mlx-lm stop, vLLM and SGLang compute yarn, and the converter
// of llama.cpp drops the scaling. It keeps linear scaling, but llama.cpp then multiplies the
// scores by a factor that belongs to yarn.
var scalings = map[Engine][]string{
	HF:       {"linear", "dynamic", "yarn", "longrope", "llama3"},
	VLLM:     {"yarn", "deepseek_yarn"},
	SGLang:   {"yarn", "deepseek_yarn"},
	LlamaCPP: {"yarn"},
	MLX:      {"linear", "dynamic", "yarn", "longrope", "llama3", "deepseek_yarn", "telechat3-yarn", "proportional", "mrope"}, // mlx-lm 0.32.0: models/rope_utils.py
	Ollama:   {"yarn"},
}

// unscaled is the advice to do without scaling.
func unscaled(key string) option.Text {
	return option.Plain("convert to a base that needs no scaling: leave " + key + " null")
}

// unknownScaling complains of a RoPE scaling that e does not know and at which it stops.
func unknownScaling(s *subject, e Engine) (string, option.Text) {
	kind, key := s.ropeType()
	if kind == "" || kind == "default" || slices.Contains(scalings[e], kind) || e == MLX && key != "rope_scaling" {
		return "", nothing
	}
	if kind == family.GGUFMark {
		return fmt.Sprintf("%q marks it as made for GGUF files alone, at which it stops", key), option.Textf("convert with %v or all", option.Target.Is(e))
	}
	return fmt.Sprintf("%q is of type %q, at which it stops", key, kind), unscaled(key)
}

// otherScaling complains of a RoPE scaling that e computes otherwise than Transformers.
func otherScaling(s *subject, e Engine) (string, option.Text) {
	kind, key := s.ropeType()
	switch {
	case kind == "" || kind == "default" || kind == family.GGUFMark && e.RunsGGUF():
		return "", nothing
	case e == MLX && key != "rope_scaling":
		return fmt.Sprintf("%q of type %q becomes nothing", key, kind), unscaled(key)
	case e != MLX && !slices.Contains(scalings[e], kind):
		return fmt.Sprintf("%q of type %q becomes another, or nothing", key, kind), unscaled(key)
	case kind == "yarn":
		y := s.yarn()
		if y == nil || y.gains(e) == y.gains(HF) {
			return "", nothing
		}
		return fmt.Sprintf("%q is of type \"yarn\", and from its mscale and mscale_all_dim it scores otherwise than Transformers", key), option.Plain("give both, and no attention_factor")
	}
	return "", nothing
}

// yarn holds the members of a configuration that describe yarn. The last three are nil if
// the configuration does not have them, since engines tell that from 0.
type yarn struct {
	Factor    float64  `json:"factor"`
	Original  float64  `json:"original_max_position_embeddings"`
	Fast      float64  `json:"beta_fast"`
	Slow      float64  `json:"beta_slow"`
	MScale    *float64 `json:"mscale"`
	MScaleAll *float64 `json:"mscale_all_dim"`
	Attention *float64 `json:"attention_factor"`
}

// gains holds the factors by which an engine multiplies rotary queries and keys, and the
// scores of attention.
type gains struct{ rotary, scores float64 }

// gains returns the factors that e computes from y. Engines differ in what they do with a
// number that is missing or 0, and llama.cpp never reads mscale.
func (y *yarn) gains(e Engine) gains {
	gain := func(weight float64) float64 { return rope.MScale(y.Factor, weight) }
	or := func(v *float64, preset float64) float64 {
		if v == nil {
			return preset
		}
		return *v
	}
	all := or(y.MScaleAll, 0)
	g := gains{rotary: gain(1), scores: gain(all) * gain(all)}
	m := or(y.MScale, 0)
	switch {
	case e.RunsGGUF() && all == 0:
		g.scores = gain(1) * gain(1)
	case e.RunsGGUF():
		g.rotary = 1
	case e != HF:
		g.rotary = gain(or(y.MScale, 1)) / gain(all)
	case y.Attention != nil:
		g.rotary = *y.Attention
	case m != 0 && all != 0:
		g.rotary = gain(m) / gain(all)
	}
	return g
}
