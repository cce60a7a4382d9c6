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

// Request is what the user asks of a conversion. The zero value of a field means that the
// user has said nothing; where zero, false or none can be asked for, the field is a pointer.
type Request struct {
	DKV      int // latent floats per KV head, the paper's d_kv
	Rank     int // kv_lora_rank
	Cache    int // floats per token and layer
	RopeDims int // qk_rope_head_dim
	Theta    float64
	Scaling  RopeScaling

	Method   mla.Method
	FreqFold int // of TransMLA: pairs that fold together
	Layout   layout.Form
	SVD      SVD

	Select      rope.Strategy // or the path of a file of rankings
	Threshold   float64
	Weights     mla.Weights
	LatentNorm  layout.LatentNorm
	QLora       *layout.QLora
	Bias        mla.Bias
	PadToKernel *bool
	Target      engine.Engine
	Heal        *heal.Steps

	IgnoreWindow bool // convert a model whose sliding window is shorter than its context

	DType    DTypeRule
	Clamp    bool  // values that do not fit their type become its largest
	MaxShard int64 // bytes
}

// SVD says whether keys and values are factored together, in the mha2mla layout.
type SVD string

// The two ways of the paper.
const (
	SVDJoint SVD = "joint"
	SVDSplit SVD = "split"
)

// saying is something that a request may say.
type saying struct {
	said bool
	what option.Setting
}

// Check refuses what a request says against its own method. It needs no model, so that
// such a request is refused before one is opened.
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
			{r.Bias != "", option.Bias.Alone()}, {r.PadToKernel != nil, option.PadToKernel.Alone()}, {r.Heal != nil, option.Heal.Alone()},
		} {
			if s.said {
				return Misuse("%v says nothing about %v, which has no latent", s.what, option.Method.Is(r.Method))
			}
		}
	}
	return nil
}

// rankSuffix ends the names of files of rankings.
const rankSuffix = ".pth"

// ParseSelect parses what chooses the rotary pairs: a strategy, or a file of rankings, whose
// name then stands for it.
func ParseSelect(text string) (rope.Strategy, error) {
	var names []string
	for _, s := range rope.Strategies() {
		if names = append(names, string(s)); string(s) == text {
			return s, nil
		}
	}
	if strings.HasSuffix(text, rankSuffix) && len(text) > len(rankSuffix) {
		return rope.Strategy(text), nil
	}
	return "", fmt.Errorf("%q is not one of %s, nor a FILE%s", text, strings.Join(names, ", "), rankSuffix)
}
