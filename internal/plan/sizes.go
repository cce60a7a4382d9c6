package plan

import (
	"fmt"

	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
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

// Options are what the user asks of a conversion. A size of zero means that the
// user says nothing; the rest is preset by Defaults.
type Options struct {
	DKV      int // latent floats per KV head, the paper's d_kv
	Rank     int // kv_lora_rank
	Cache    int // floats per token and layer
	RopeDims int // qk_rope_head_dim
	Theta    float64
	Scaling  RopeScaling

	Method   mla.Method
	FreqFold int         // of TransMLA: pairs that fold together
	Layout   layout.Form // zero: deepseek
	SVD      SVD         // zero: joint

	Select      rope.Strategy  // or the name of a file of Rankings
	Rankings    []rope.Ranking // [layers]: read from it
	Threshold   float64
	Weights     mla.Weights
	LatentNorm  layout.LatentNorm
	QLora       layout.QLora
	Bias        mla.Bias // zero: fold
	PadToKernel bool
	Target      engine.Engine // zero: all
	Heal        heal.Steps

	IgnoreWindow bool // convert a model whose sliding window is shorter than its context

	DType    DTypeRule
	Clamp    bool  // values that do not fit their type become its largest
	MaxShard int64 // bytes
}

// Defaults returns what is asked for unless the user says otherwise.
func Defaults() Options {
	return Options{Method: mla.MethodAttention, Select: rope.BySensitivity, Weights: mla.WeightsAttention, LatentNorm: layout.NormLinear, MaxShard: 5e9}
}

// Maths returns the choices about the mathematics of a layer of the given sizes.
func (o *Options) Maths(s Sizes) mla.Options {
	return mla.Options{
		PerHead: o.Form() == layout.FormReference, Method: o.Method, Shrinkage: s.Shrinkage, Rank: s.Rank, RopeDims: s.RopeDims, RopeTheta: s.Theta, RopeScaling: s.Scaling, FreqFold: o.FreqFold,
		Select: o.Select, Rankings: o.Rankings, Threshold: o.Threshold,
		Weights: o.Weights, Split: o.SVD == SVDSplit, QueryRank: o.QLora.Rank(), Bias: o.Bias, Heal: o.Heal,
	}
}

// Sizes are the sizes of a conversion. Zero means: to be searched for.
type Sizes struct {
	Rank     int     `json:"kv_lora_rank"`
	RopeDims int     `json:"qk_rope_head_dim"`
	Theta    float64 `json:"rope_theta"` // θ'

	// Scaling of the frequencies at that base; nil: none, or to be searched for
	// with it.
	Scaling *rope.Scaling `json:"rope_scaling,omitempty"`

	// Shrinkage of the statistics, see calib.Observed; 0: what is best is not known.
	Shrinkage float64 `json:"shrinkage,omitempty"`

	// KVHeads is the size of a conversion to GQA, which has none of the others.
	KVHeads int `json:"num_key_value_heads,omitempty"`
}

// Planned reports whether the sizes suffice for a plan, which does without θ'.
func (s Sizes) Planned() bool { return s.KVHeads > 0 || s.Rank > 0 && s.RopeDims > 0 }

// Known reports whether nothing is left to be searched for.
func (s Sizes) Known() bool { return s.KVHeads > 0 || s.Planned() && s.Theta > 0 }

// MaxRank is the rank of the stacked keys and values of a layer: a larger latent
// would hold nothing more.
func MaxRank(m *family.Model) int { return min(2*m.KVHeads*m.HeadDim, m.Hidden) }

// RotaryFloats is the part of the cache that is rotary keys.
func (o *Options) RotaryFloats(m *family.Model, s Sizes) int {
	if o.Form() == layout.FormReference {
		return m.KVHeads * s.RopeDims
	}
	return s.RopeDims
}

// NearRank is the largest rank up to r that a conversion with the rotary keys of s
// can have.
func (o *Options) NearRank(m *family.Model, s Sizes, r int) int {
	if o.Form() == layout.FormReference {
		return o.perHeadRank(m, s.RopeDims, r+o.RotaryFloats(m, s))
	}
	return min(r, MaxRank(m))
}

// MaxRopeDims is the size of the largest rotary key that carries something: all
// pairs of all KV heads, or of one head where a strategy chooses whole pairs.
func (o *Options) MaxRopeDims(m *family.Model) int {
	if o.Select == rope.BySensitivity && o.Method != mla.MethodTransMLA {
		return m.KVHeads * m.HeadDim
	}
	return m.HeadDim
}

// Sizes works out the sizes from the options, as far as these say, and checks
// them against the model.
func (o *Options) Sizes(m *family.Model) (Sizes, error) {
	s := Sizes{Rank: o.Rank, RopeDims: o.RopeDims, Theta: o.theta(m)}
	if min(o.DKV, 1)+min(o.Rank, 1)+min(o.Cache, 1) > 1 {
		return s, &UsageError{"--dkv, --kv-lora-rank and --cache all say how large the latent is", "give one of them"}
	}
	if err := o.checkForm(); err != nil {
		return s, err
	}
	if err := o.checkFamily(m); err != nil {
		return s, err
	}
	switch o.Form() {
	case layout.FormReference:
		return o.perHeadSizes(m)
	case layout.FormGrouped:
		return o.groupedSizes(m)
	}
	if err := o.checkRope(m); err != nil {
		return s, err
	}
	if most := min(m.Heads*m.HeadDim, m.Hidden); o.QLora.Rank() > most {
		return s, &UsageError{fmt.Sprintf("--q-lora %d is above %d, the rank of the stacked queries", o.QLora, most), "--q-lora exact keeps the query as it is"}
	}
	if err := o.checkScaling(m); err != nil {
		return s, err
	}
	if s.RopeDims == 0 && o.Cache == 0 && o.Threshold == 0 {
		s.RopeDims = max(2, m.HeadDim/4*2)
	}
	if err := o.checkMethod(m, s.RopeDims); err != nil {
		return s, err
	}
	switch {
	case o.DKV > 0:
		if most := MaxRank(m) / m.KVHeads; o.DKV > most {
			return s, &UsageError{fmt.Sprintf("--dkv %d for each of %d KV heads is above %d, the rank of the stacked keys and values", o.DKV, m.KVHeads, MaxRank(m)),
				fmt.Sprintf("--dkv can be at most %d", most)}
		}
		s.Rank = o.DKV * m.KVHeads
	case o.Rank > 0:
		if s.Rank > MaxRank(m) {
			return s, &UsageError{fmt.Sprintf("--kv-lora-rank %d is above %d, the rank of the stacked keys and values", o.Rank, MaxRank(m)), ""}
		}
	case o.Cache > 0:
		if o.Cache < 3 {
			return s, &UsageError{fmt.Sprintf("--cache %d has no room for two rotary dimensions and a latent", o.Cache), ""}
		}
		if s.RopeDims > 0 {
			s.Rank = min(o.Cache-s.RopeDims, MaxRank(m))
			if s.Rank < 1 {
				return s, &UsageError{fmt.Sprintf("--cache %d has no room for a latent beside --rope-dims %d", o.Cache, s.RopeDims), "lower --rope-dims"}
			}
		}
	default:
		s.Rank = min(max(1, m.HeadDim/2)*m.KVHeads, MaxRank(m))
	}
	return o.scaled(m, s)
}

// checkRope checks the options about the rotary key.
func (o *Options) checkRope(m *family.Model) error {
	switch most := o.MaxRopeDims(m); {
	case o.RopeDims%2 != 0:
		return &UsageError{fmt.Sprintf("--rope-dims %d is odd: rotary dimensions come in pairs", o.RopeDims), ""}
	case o.RopeDims > most:
		return &UsageError{fmt.Sprintf("--rope-dims %d is above %d, all there is to rotate", o.RopeDims, most), ""}
	case o.RopeDims > 0 && o.Threshold > 0:
		return &UsageError{"--rope-dims and --rope-threshold both say how many pairs keep their rotation", "give one of them"}
	case o.Threshold > 0 && o.Select != rope.BySensitivity:
		return &UsageError{"--rope-threshold goes with --rope-select sensitivity", ""}
	case o.Threshold > 1:
		return &UsageError{fmt.Sprintf("--rope-threshold %v is above 1: it is a share of the sensitivity", o.Threshold), ""}
	case o.Theta != 0 && o.Theta <= 1:
		return &UsageError{fmt.Sprintf("--rope-theta %v must be above 1", o.Theta), ""}
	}
	return nil
}

// ropeGrid are the sizes of the rotary key that a search considers.
var ropeGrid = []int{2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256}

// Splits returns the ways to divide --cache between latent and rotary key that
// a search considers, thetas left open.
func (o *Options) Splits(m *family.Model) []Sizes {
	if o.Form() == layout.FormReference {
		return o.perHeadSplits(m)
	}
	var splits []Sizes
	for _, dims := range ropeGrid {
		if o.Method == mla.MethodTransMLA && o.foldable(m, dims) != nil {
			continue
		}
		if dims <= o.MaxRopeDims(m) && dims < o.Cache {
			splits = append(splits, Sizes{Rank: min(o.Cache-dims, MaxRank(m)), RopeDims: dims, Theta: o.theta(m)})
		}
	}
	return splits
}
