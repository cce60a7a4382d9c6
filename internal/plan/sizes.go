package plan

import (
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Sizes holds the sizes of a conversion (design §3). The search chooses those that are 0.
type Sizes struct {
	Rank     int     `json:"kv_lora_rank"`     // r, floats of the latent
	RopeDims int     `json:"qk_rope_head_dim"` // dr, dimensions of the rotary key
	Theta    float64 `json:"rope_theta"`       // θ', base of the rotary key's frequencies

	// Scaling is how the frequencies at the base Theta are scaled. It is nil if they are
	// not, or if the search chooses the base and the scaling together.
	Scaling *rope.Scaling `json:"rope_scaling,omitempty"`

	// Shrinkage is η of the statistics, see calib.Observed; 0 if the best is not known.
	Shrinkage float64 `json:"shrinkage,omitempty"`

	// KVHeads is the number of KV heads of a conversion to GQA, which has none of the
	// other sizes.
	KVHeads int `json:"num_key_value_heads,omitempty"`
}

// Planned reports whether the sizes suffice for a plan. A plan does not need θ'.
func (s Sizes) Planned() bool { return s.KVHeads > 0 || s.Rank > 0 && s.RopeDims > 0 }

// Known reports whether the search has nothing left to choose.
func (s Sizes) Known() bool { return s.KVHeads > 0 || s.Planned() && s.Theta > 0 }

// MaxRank returns min(2·G·D, d), the rank of the stacked keys and values of a layer (design
// §3). A larger latent would hold nothing more.
func MaxRank(m *family.Model) int { return min(2*m.KVHeads*m.HeadDim, m.Hidden) }

// checkForm returns an error if the request has options that mean nothing in its layout.
func (c *Choices) checkForm() error {
	reference := c.form == layout.FormReference
	for _, s := range []saying{
		{c.asked.Theta != 0, option.RopeTheta.Alone()}, {c.asked.Scaling != "", option.RopeScaling.Alone()}, {c.asked.Threshold != 0, option.RopeThreshold.Alone()},
		{c.pad != nil, option.PadToKernel.Alone()}, {c.asked.LargerCache, option.LargerCache.Alone()},
		{c.qLora != layout.QLoraNone, option.QLora.Alone()}, {c.bias == mla.BiasHF, option.Bias.Is(mla.BiasHF)}, {c.norm == layout.NormRMS, option.LatentNorm.Is(layout.NormRMS)},
	} {
		if s.said && reference {
			return Misuse("%v goes with %v", s.what, option.Layout.Is(layout.FormDeepseek)).Try("leave it out, or the layout")
		}
	}
	if c.asked.SVD != "" && !reference {
		return Misuse("%v goes with %v", option.SVD.Is(c.asked.SVD), option.Layout.Is(layout.FormReference)).Try("the deepseek layout has one latent for keys and values")
	}
	return nil
}

// RotaryFloats returns how many floats rotary keys of the sizes s take in the cache, per
// token and layer.
func (c *Choices) RotaryFloats(s Sizes) int {
	if c.form == layout.FormReference {
		return c.model.KVHeads * s.RopeDims
	}
	return s.RopeDims
}

// NearRank returns the largest rank, at most r, that a conversion with the rotary keys of s
// can have.
func (c *Choices) NearRank(s Sizes, r int) int {
	if c.form == layout.FormReference {
		return c.perHeadRank(s.RopeDims, r+c.RotaryFloats(s))
	}
	return min(r, MaxRank(c.model))
}

// MaxRopeDims returns the dimensions of the largest rotary key of which every slot carries
// something: one slot for each pair of each KV head, or for each pair of one head if the
// method or the strategy chooses the same pairs in all heads.
func (c *Choices) MaxRopeDims() int {
	if c.selected == rope.BySensitivity && c.method != mla.MethodTransMLA {
		return c.model.KVHeads * c.model.Turning()
	}
	return c.model.Turning()
}

// sized works out the sizes that the request fixes, and returns an error if the model cannot
// have them.
func (c *Choices) sized() (Sizes, error) {
	s := Sizes{Rank: c.asked.Rank, RopeDims: c.asked.RopeDims, Theta: c.theta()}
	if min(c.asked.DKV, 1)+min(c.asked.Rank, 1)+min(c.asked.Cache, 1) > 1 {
		return s, Misuse("%v, %v and %v all say how large the latent is", option.DKV, option.Rank, option.Cache).Try("give one of them")
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
	most := min(c.model.Heads*c.model.HeadDim, c.model.Hidden)
	if c.qLora.Rank() > most {
		return s, Misuse("%v is above %d, the rank of the stacked queries", option.QLora.Is(c.qLora), most).Try("%v keeps the query as it is", option.QLora.Is("exact"))
	}
	if err := c.checkScaling(); err != nil {
		return s, err
	}
	if s.RopeDims == 0 && c.asked.Cache == 0 && c.asked.Threshold == 0 {
		s.RopeDims = max(2, c.model.Turning()/4*2)
	}
	if err := c.checkMethod(s.RopeDims); err != nil {
		return s, err
	}
	switch {
	case c.asked.DKV > 0:
		most := MaxRank(c.model) / c.model.KVHeads
		if c.asked.DKV > most {
			return s, Misuse("%v for each of %d KV heads is above %d, the rank of the stacked keys and values", option.DKV.Is(c.asked.DKV), c.model.KVHeads, MaxRank(c.model)).Try("%v can be at most %d", option.DKV, most)
		}
		s.Rank = c.asked.DKV * c.model.KVHeads
	case c.asked.Rank > 0:
		if s.Rank > MaxRank(c.model) {
			return s, Misuse("%v is above %d, the rank of the stacked keys and values", option.Rank.Is(c.asked.Rank), MaxRank(c.model))
		}
	case c.asked.Cache > 0:
		if c.asked.Cache < 3 {
			return s, Misuse("%v has no room for two rotary dimensions and a latent", option.Cache.Is(c.asked.Cache))
		}
		if s.RopeDims > 0 {
			s.Rank = c.Latent(c.asked.Cache - s.RopeDims)
			if s.Rank < 1 {
				return s, Misuse("%v has no room for a latent beside %v", option.Cache.Is(c.asked.Cache), option.RopeDims.Is(s.RopeDims)).Try("lower %v", option.RopeDims)
			}
		}
	default:
		s.Rank = c.Latent(max(1, c.model.HeadDim/2) * c.model.KVHeads)
	}
	return c.scaled(s)
}

// checkRope checks the options about the rotary key.
func (c *Choices) checkRope() error {
	most := c.MaxRopeDims()
	switch {
	case c.asked.RopeDims%2 != 0:
		return Misuse("%v is odd: rotary dimensions come in pairs", option.RopeDims.Is(c.asked.RopeDims))
	case c.asked.RopeDims > most:
		return Misuse("%v is above %d, all there is to rotate", option.RopeDims.Is(c.asked.RopeDims), most)
	case c.asked.RopeDims > 0 && c.asked.Threshold > 0:
		return Misuse("%v and %v both say how many pairs keep their rotation", option.RopeDims, option.RopeThreshold).Try("give one of them")
	case c.asked.Threshold > 0 && c.selected != rope.BySensitivity:
		return Misuse("%v goes with %v", option.RopeThreshold, option.RopeSelect.Is(rope.BySensitivity))
	case c.asked.Threshold > 1:
		return Misuse("%v is above 1: it is a share of the sensitivity", option.RopeThreshold.Is(c.asked.Threshold))
	case c.asked.Theta != 0 && c.asked.Theta <= 1:
		return Misuse("%v must be above 1", option.RopeTheta.Is(c.asked.Theta))
	}
	return nil
}
