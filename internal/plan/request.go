package plan

import (
	"fmt"
	"strings"

	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Request holds what the user asks of a conversion. The zero value of a field means that the
// user has said nothing about it. A field is a pointer where zero, false or none may be what
// the user asks for.
type Request struct {
	DKV      int // latent floats per KV head, the paper's d_kv
	Rank     int // kv_lora_rank
	Cache    int // floats per token and layer
	RopeDims int // qk_rope_head_dim
	Theta    float64
	Scaling  RopeScaling

	Method   mla.Method
	FreqFold int // how many pairs TransMLA folds together
	Layout   layout.Form
	SVD      SVD

	Select      rope.Strategy // or the path of a file of rankings
	Threshold   float64
	Weights     mla.Weights
	LatentNorm  layout.LatentNorm
	QLora       *layout.QLora
	Bias        mla.Bias
	PadToKernel string // backend to pad for; PadForTarget: the one of the target
	LargerCache bool   // pad even if the cache becomes larger than the source's
	Target      engine.Engine
	Heal        *heal.Steps
	HealOrder   heal.Order
	Distill     int // steps in which all layers are trained together

	IgnoreWindow bool // convert a model whose sliding window is shorter than its context

	GGUF     bool // the output is a GGUF file, see For
	DType    DTypeRule
	Clamp    bool  // values that do not fit their type become its largest
	MaxShard int64 // size of the largest file of weights, in bytes
}

// PadForTarget asks for padding without naming a backend: to what the target demands.
const PadForTarget = "target"

// SVD says whether the mha2mla layout factors keys and values together.
type SVD string

// These are the two ways of the MHA2MLA paper.
const (
	SVDJoint SVD = "joint"
	SVDSplit SVD = "split"
)

// saying is a setting, with whether a request gives it.
type saying struct {
	said bool
	what option.Setting
}

// Check returns an error if a request contradicts its method. It needs no model, so that the
// program can refuse such a request before it opens one.
func (r Request) Check() error {
	layout, weights := saying{r.Layout != "", option.Layout.Alone()}, saying{r.Weights != "", option.Weights.Alone()}
	switch r.Method {
	case mla.MethodTransMLA:
		for _, s := range []saying{layout, weights} {
			if s.said {
				return Misuse("%v does not go with %v, which has its own", s.what, option.Method.Is(r.Method)).Try("leave it out")
			}
		}
	case mla.MethodGroupedMean:
		for _, s := range []saying{
			layout, {r.SVD != "", option.SVD.Alone()}, {r.Theta != 0, option.RopeTheta.Alone()}, {r.Scaling != "", option.RopeScaling.Alone()}, {r.Select != "", option.RopeSelect.Alone()},
			{r.Threshold != 0, option.RopeThreshold.Alone()}, weights, {r.LatentNorm != "", option.LatentNorm.Alone()}, {r.QLora != nil, option.QLora.Alone()},
			{r.Bias != "", option.Bias.Alone()}, {r.PadToKernel != "", option.PadToKernel.Alone()}, {r.Heal != nil, option.Heal.Alone()}, {r.HealOrder != "", option.HealOrder.Alone()}, {r.Distill > 0, option.Distill.Alone()},
		} {
			if s.said {
				return Misuse("%v says nothing about %v, which has no latent", s.what, option.Method.Is(r.Method))
			}
		}
	}
	return nil
}

// rankSuffix is the extension of files of rankings.
const rankSuffix = ".pth"

// ParseSelect parses the choice of rotary pairs: the name of a strategy, or the path of a
// file of rankings, which takes the place of a strategy then.
func ParseSelect(text string) (rope.Strategy, error) {
	var names []string
	for _, s := range rope.Strategies() {
		if string(s) == text {
			return s, nil
		}
		names = append(names, string(s))
	}
	if strings.HasSuffix(text, rankSuffix) && len(text) > len(rankSuffix) {
		return rope.Strategy(text), nil
	}
	return "", fmt.Errorf("%q is not one of %s, nor a FILE%s", text, strings.Join(names, ", "), rankSuffix)
}
