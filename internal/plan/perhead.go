package plan

import (
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/option"
)

// latents returns how many latents a layer of the mha2mla layout has.
func (c *Choices) latents() int {
	if c.asked.SVD == SVDSplit {
		return 2
	}
	return 1
}

// perHeadRank returns the largest rank of the mha2mla layout, of all latents together, that
// fits a cache of most floats per token and layer beside dims rotary dimensions per KV
// head. The reference counts the rank of a latent in floats per KV head, so the rank is a
// multiple of their number.
func (c *Choices) perHeadRank(dims, most int) int {
	G, D, n := c.model.KVHeads, c.model.HeadDim, c.latents()
	rank := min(G*(2*D-dims), c.model.Hidden)
	if n == 2 {
		rank = min(G*(D-dims), c.model.Hidden)
	}
	return min(rank, max(0, most-G*dims)/n) / G * G * n
}

// perHeadSizes works out the sizes of the mha2mla layout.
func (c *Choices) perHeadSizes() (Sizes, error) {
	G, D := c.model.KVHeads, c.model.HeadDim
	s := Sizes{RopeDims: c.asked.RopeDims, Theta: c.model.RopeTheta}
	most := D - 2*(c.latents()-1) // if keys have their own latent, some must be left to factor
	switch {
	case c.asked.RopeDims%2 != 0:
		return s, Misuse("%v is odd: rotary dimensions come in pairs", option.RopeDims.Is(c.asked.RopeDims))
	case c.asked.RopeDims > most:
		return s, Misuse("%v is above %d: in this layout it counts those of one KV head", option.RopeDims.Is(c.asked.RopeDims), most)
	case D > 512:
		return s, unsupported("head_dim %d has more rotary pairs than a ranking of bytes can order", D).Try("use %v", option.Layout.Is(layout.FormDeepseek))
	}
	if c.asked.Cache > 0 && c.asked.RopeDims == 0 {
		if len(c.perHeadSplits()) == 0 {
			return s, Misuse("%v has no room for two rotary dimensions and a latent of %d KV heads", option.Cache.Is(c.asked.Cache), G).Try("the least is %d", (2+c.latents())*G)
		}
		return s, nil
	}
	if s.RopeDims == 0 {
		s.RopeDims = max(2, D/16*2)
	}
	return c.perHeadRanked(s)
}

// perHeadRanked adds the rank to sizes of the mha2mla layout that lack nothing else.
func (c *Choices) perHeadRanked(s Sizes) (Sizes, error) {
	unit := c.latents() * c.model.KVHeads
	const huge = 1 << 40
	most := c.perHeadRank(s.RopeDims, huge)
	asked, by := c.asked.Rank, option.Rank.Is(c.asked.Rank)
	if c.asked.DKV > 0 {
		asked, by = min(c.asked.DKV, huge)*c.model.KVHeads, option.DKV.Is(c.asked.DKV)
	}
	switch {
	case c.asked.Cache > 0:
		s.Rank = c.perHeadRank(s.RopeDims, c.asked.Cache)
		if s.Rank == 0 {
			return s, Misuse("%v has no room for a latent beside %v of %d KV heads", option.Cache.Is(c.asked.Cache), option.RopeDims.Is(s.RopeDims), c.model.KVHeads).Try("lower %v", option.RopeDims)
		}
	case asked == 0:
		s.Rank = min(max(1, c.model.HeadDim/2/c.latents())*unit, most)
	case asked%unit != 0:
		return s, Misuse("%v is a rank of %d, which is no multiple of %d: the layout counts floats per KV head and latent", by, asked, unit).Try("%v is near", option.Rank.Is(max(unit, asked/unit*unit)))
	case asked > most:
		return s, Misuse("%v is a rank of %d, above %d, all there is beside the rotary keys", by, asked, most)
	default:
		s.Rank = asked
	}
	if s.Rank == 0 {
		return s, unsupported("hidden_size %d is below the number of KV heads, %d: no latent has a float for each", c.model.Hidden, c.model.KVHeads).Try("use %v", option.Layout.Is(layout.FormDeepseek))
	}
	return s, nil
}

// perHeadSplits returns the ways to divide the cache between latents and rotary keys in the
// mha2mla layout.
func (c *Choices) perHeadSplits() []Sizes {
	var splits []Sizes
	for _, dims := range ropeGrid {
		rank := c.perHeadRank(dims, c.asked.Cache)
		if dims <= c.model.HeadDim && rank > 0 {
			splits = append(splits, Sizes{Rank: rank, RopeDims: dims, Theta: c.model.RopeTheta})
		}
	}
	return splits
}

// groupedSizes works out how many KV heads are left after pooling. That is the largest
// divisor of their present number at which the cache is no larger than that of latent
// attention would be.
func (c *Choices) groupedSizes() (Sizes, error) {
	if c.model.KVHeads == 1 {
		return Sizes{}, unsupported("%q has one KV head: there is nothing to pool", c.model.Source.Path).Try("choose another %v", option.Method)
	}
	each := 2 * c.model.HeadDim
	floats := c.asked.Cache
	if floats == 0 {
		dims := c.asked.RopeDims
		if dims == 0 {
			dims = max(2, c.model.HeadDim/4*2)
		}
		floats = c.asked.Rank
		if c.asked.DKV > 0 {
			floats = c.asked.DKV * c.model.KVHeads
		}
		if floats == 0 {
			floats = c.model.HeadDim / 2 * c.model.KVHeads
		}
		floats += dims
	}
	switch {
	case floats < each:
		return Sizes{}, Misuse("a cache of %d floats has no room for one KV head of head_dim %d", floats, c.model.HeadDim).Try("it takes %v", option.Cache.Is(each))
	case floats >= c.model.CacheFloats():
		return Sizes{}, Misuse("a cache of %d floats has room for all %d KV heads", floats, c.model.KVHeads).Try("ask for less than %v", option.Cache.Is(c.model.CacheFloats()))
	}
	for n := floats / each; ; n-- {
		if c.model.KVHeads%n == 0 { // 1 divides everything
			return Sizes{KVHeads: n}, nil
		}
	}
}
