package plan

import (
	"fmt"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/rope"
)

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

// checkForm refuses what the layout has no use for.
func (c *Choices) checkForm() error {
	reference := c.form == layout.FormReference
	for _, s := range []saying{
		{c.asked.Theta != 0, "--rope-theta"}, {c.asked.Scaling != "", "--rope-scaling"}, {c.asked.Threshold != 0, "--rope-threshold"}, {c.pad, "--pad-to-kernel"},
		{c.qLora != layout.QLoraNone, "--q-lora"}, {c.bias == mla.BiasHF, "--bias hf"}, {c.norm == layout.NormRMS, "--latent-norm rms"},
	} {
		if s.said && reference {
			return &UsageError{s.flag + " goes with --layout deepseek", "leave it out, or the layout"}
		}
	}
	if c.asked.SVD != "" && !reference {
		return &UsageError{fmt.Sprintf("--svd %s goes with --layout mha2mla", c.asked.SVD), "the deepseek layout has one latent for keys and values"}
	}
	return nil
}

// RotaryFloats is the part of the cache that is rotary keys.
func (c *Choices) RotaryFloats(s Sizes) int {
	if c.form == layout.FormReference {
		return c.model.KVHeads * s.RopeDims
	}
	return s.RopeDims
}

// NearRank is the largest rank up to r that a conversion with the rotary keys of s
// can have.
func (c *Choices) NearRank(s Sizes, r int) int {
	if c.form == layout.FormReference {
		return c.perHeadRank(s.RopeDims, r+c.RotaryFloats(s))
	}
	return min(r, MaxRank(c.model))
}

// MaxRopeDims is the size of the largest rotary key that carries something: all
// pairs of all KV heads, or of one head where a strategy chooses whole pairs.
func (c *Choices) MaxRopeDims() int {
	if c.selected == rope.BySensitivity && c.method != mla.MethodTransMLA {
		return c.model.KVHeads * c.model.HeadDim
	}
	return c.model.HeadDim
}

// sized works out the sizes from the request, as far as it says them, and checks them
// against the model.
func (c *Choices) sized() (Sizes, error) {
	s := Sizes{Rank: c.asked.Rank, RopeDims: c.asked.RopeDims, Theta: c.theta()}
	if min(c.asked.DKV, 1)+min(c.asked.Rank, 1)+min(c.asked.Cache, 1) > 1 {
		return s, &UsageError{"--dkv, --kv-lora-rank and --cache all say how large the latent is", "give one of them"}
	}
	if err := c.checkForm(); err != nil {
		return s, err
	}
	if err := c.checkFamily(); err != nil {
		return s, err
	}
	switch c.form {
	case layout.FormReference:
		return c.perHeadSizes()
	case layout.FormGrouped:
		return c.groupedSizes()
	}
	if err := c.checkRope(); err != nil {
		return s, err
	}
	if most := min(c.model.Heads*c.model.HeadDim, c.model.Hidden); c.qLora.Rank() > most {
		return s, &UsageError{fmt.Sprintf("--q-lora %d is above %d, the rank of the stacked queries", c.qLora, most), "--q-lora exact keeps the query as it is"}
	}
	if err := c.checkScaling(); err != nil {
		return s, err
	}
	if s.RopeDims == 0 && c.asked.Cache == 0 && c.asked.Threshold == 0 {
		s.RopeDims = max(2, c.model.HeadDim/4*2)
	}
	if err := c.checkMethod(s.RopeDims); err != nil {
		return s, err
	}
	switch {
	case c.asked.DKV > 0:
		if most := MaxRank(c.model) / c.model.KVHeads; c.asked.DKV > most {
			return s, &UsageError{fmt.Sprintf("--dkv %d for each of %d KV heads is above %d, the rank of the stacked keys and values", c.asked.DKV, c.model.KVHeads, MaxRank(c.model)),
				fmt.Sprintf("--dkv can be at most %d", most)}
		}
		s.Rank = c.asked.DKV * c.model.KVHeads
	case c.asked.Rank > 0:
		if s.Rank > MaxRank(c.model) {
			return s, &UsageError{fmt.Sprintf("--kv-lora-rank %d is above %d, the rank of the stacked keys and values", c.asked.Rank, MaxRank(c.model)), ""}
		}
	case c.asked.Cache > 0:
		if c.asked.Cache < 3 {
			return s, &UsageError{fmt.Sprintf("--cache %d has no room for two rotary dimensions and a latent", c.asked.Cache), ""}
		}
		if s.RopeDims > 0 {
			s.Rank = min(c.asked.Cache-s.RopeDims, MaxRank(c.model))
			if s.Rank < 1 {
				return s, &UsageError{fmt.Sprintf("--cache %d has no room for a latent beside --rope-dims %d", c.asked.Cache, s.RopeDims), "lower --rope-dims"}
			}
		}
	default:
		s.Rank = min(max(1, c.model.HeadDim/2)*c.model.KVHeads, MaxRank(c.model))
	}
	return c.scaled(s)
}

// checkRope checks the options about the rotary key.
func (c *Choices) checkRope() error {
	switch most := c.MaxRopeDims(); {
	case c.asked.RopeDims%2 != 0:
		return &UsageError{fmt.Sprintf("--rope-dims %d is odd: rotary dimensions come in pairs", c.asked.RopeDims), ""}
	case c.asked.RopeDims > most:
		return &UsageError{fmt.Sprintf("--rope-dims %d is above %d, all there is to rotate", c.asked.RopeDims, most), ""}
	case c.asked.RopeDims > 0 && c.asked.Threshold > 0:
		return &UsageError{"--rope-dims and --rope-threshold both say how many pairs keep their rotation", "give one of them"}
	case c.asked.Threshold > 0 && c.selected != rope.BySensitivity:
		return &UsageError{"--rope-threshold goes with --rope-select sensitivity", ""}
	case c.asked.Threshold > 1:
		return &UsageError{fmt.Sprintf("--rope-threshold %v is above 1: it is a share of the sensitivity", c.asked.Threshold), ""}
	case c.asked.Theta != 0 && c.asked.Theta <= 1:
		return &UsageError{fmt.Sprintf("--rope-theta %v must be above 1", c.asked.Theta), ""}
	}
	return nil
}

// ropeGrid are the sizes of the rotary key that a search considers.
var ropeGrid = []int{2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256}

// Splits returns the ways to divide --cache between latent and rotary key that
// a search considers, thetas left open.
func (c *Choices) Splits() []Sizes {
	if c.form == layout.FormReference {
		return c.perHeadSplits()
	}
	var splits []Sizes
	for _, dims := range ropeGrid {
		if c.method == mla.MethodTransMLA && c.foldable(dims) != nil {
			continue
		}
		if dims <= c.MaxRopeDims() && dims < c.asked.Cache {
			splits = append(splits, Sizes{Rank: min(c.asked.Cache-dims, MaxRank(c.model)), RopeDims: dims, Theta: c.theta()})
		}
	}
	return splits
}
