package plan

import (
	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
)

// Latent returns the largest latent that fits into that many floats of the cache. If the user
// has named a target that quantises caches in blocks, it is a multiple of a block unless
// there is no room for one.
func (c *Choices) Latent(room int) int {
	rank := min(room, MaxRank(c.model))
	if block := c.block(); rank > block {
		rank -= rank % block
	}
	return rank
}

// block returns the number that the latent should be a multiple of; 1 if the user has not
// named a target.
func (c *Choices) block() int {
	if c.asked.Target == "" {
		return 1
	}
	return engine.LatentBlock(c.asked.Target)
}

// ropeGrid lists the dimensions of the rotary key that a search considers.
var ropeGrid = []int{2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256}

// Splits returns the ways to divide the cache between latent and rotary key that a search
// considers. It leaves their bases open, unless the request or the method fixes them. If the
// user has named a target or a backend, it returns those that suit it best.
func (c *Choices) Splits() []Sizes {
	if c.form == layout.FormReference {
		return c.perHeadSplits()
	}
	splits := c.blockSplits()
	if len(splits) == 0 {
		splits = c.gridSplits()
	}
	return c.suited(splits)
}

// gridSplits lists the splits with each rotary key of the grid.
func (c *Choices) gridSplits() []Sizes {
	var splits []Sizes
	for _, dims := range ropeGrid {
		if dims < c.asked.Cache && c.rotates(dims) {
			splits = append(splits, Sizes{Rank: min(c.asked.Cache-dims, MaxRank(c.model)), RopeDims: dims, Theta: c.theta()})
		}
	}
	return splits
}

// blockSplits lists the splits whose latent is a multiple of the target's block, each with the
// largest rotary key that there is room for. It lists none if there is no such block.
func (c *Choices) blockSplits() []Sizes {
	block := c.block()
	if block == 1 {
		return nil
	}
	var splits []Sizes
	for rank := block; rank <= min(c.asked.Cache-2, MaxRank(c.model)); rank += block {
		dims := min(c.asked.Cache-rank, c.MaxRopeDims(), ropeGrid[len(ropeGrid)-1])
		dims -= dims % 2
		if c.rotates(dims) {
			splits = append(splits, Sizes{Rank: rank, RopeDims: dims, Theta: c.theta()})
		}
	}
	return splits
}

// rotates reports whether the method can make a rotary key of that many dimensions.
func (c *Choices) rotates(dims int) bool {
	return dims <= c.MaxRopeDims() && (c.method != mla.MethodTransMLA || c.foldable(dims) == nil)
}

// suited returns those of the splits that suit the named target or backend best, in their
// order: all of them if none is named.
func (c *Choices) suited(splits []Sizes) []Sizes {
	var best []Sizes
	most := 0
	for _, s := range splits {
		suits := c.suits(s)
		if suits > most {
			best, most = nil, suits
		}
		if suits == most {
			best = append(best, s)
		}
	}
	return best
}

// suits returns for how many of the named engines a backend takes the sizes as they are. If
// the output is padded for a backend, it counts only that the cache stays within what the
// user asks for.
func (c *Choices) suits(s Sizes) (n int) {
	m := family.MLA{KVLoraRank: s.Rank, RopeDim: s.RopeDims, NopeDim: c.model.HeadDim, ValueDim: c.model.HeadDim}
	if c.pad != nil {
		padded, ok := c.pad.Pad(m, c.model.Heads)
		if ok && padded.KVLoraRank+padded.RopeDim <= c.asked.Cache {
			n++
		}
		return n
	}
	if c.asked.Target == "" {
		return 0
	}
	for _, e := range c.asked.Target.Each() {
		b, ok := engine.BackendFor(e)
		if ok && b.Takes(m, c.model.Heads) {
			n++
		}
	}
	return n
}
