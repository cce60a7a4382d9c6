package plan

import (
	"fmt"
	"strings"

	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// UsageError says that the options cannot be meant.
type UsageError struct {
	What string
	Tip  string
}

func (e *UsageError) Error() string { return e.What }

// Kind says that what was asked for cannot be meant.
func (e *UsageError) Kind() fault.Kind { return fault.Usage }

// Hint says what to do about the error.
func (e *UsageError) Hint() string { return e.Tip }

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
	flag string
}

// Check refuses what a request says against its own method. It needs no model, so that
// such a request is refused before one is opened.
func (r Request) Check() error {
	layout, weights := saying{r.Layout != "", "layout"}, saying{r.Weights != "", "weights"}
	switch r.Method {
	case mla.MethodTransMLA:
		for _, s := range []saying{layout, weights} {
			if s.said {
				return &UsageError{fmt.Sprintf("--%s does not go with --method %s, which has its own", s.flag, r.Method), "leave it out"}
			}
		}
	case mla.MethodGroupedMean:
		for _, s := range []saying{
			layout, {r.SVD != "", "svd"}, {r.Theta != 0, "rope-theta"}, {r.Scaling != "", "rope-scaling"}, {r.Select != "", "rope-select"},
			{r.Threshold != 0, "rope-threshold"}, weights, {r.LatentNorm != "", "latent-norm"}, {r.QLora != nil, "q-lora"},
			{r.Bias != "", "bias"}, {r.PadToKernel != nil, "pad-to-kernel"}, {r.Heal != nil, "heal"},
		} {
			if s.said {
				return &UsageError{fmt.Sprintf("--%s says nothing about --method %s, which has no latent", s.flag, r.Method), ""}
			}
		}
	}
	return nil
}

// rankSuffix ends the names of files of rankings.
const rankSuffix = ".pth"

// ParseSelect parses the value of --rope-select: a strategy, or a file of
// rankings, whose name then stands for it.
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
