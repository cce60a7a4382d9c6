package plan

import (
	"fmt"

	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// RopeScaling says how the frequencies of the rotary key are scaled.
type RopeScaling string

// These are the ways to scale them. If the user names neither, the search for the base tries
// both. A base that the user gives is not scaled unless the request asks for yarn.
const (
	ScalingNone RopeScaling = "none"
	ScalingYarn RopeScaling = "yarn"
)

// yarn returns the scaling with which the rotary key of s turns as the source does; nil if
// there is none.
func (c *Choices) yarn(s Sizes) *rope.Scaling {
	return c.model.Rope.Yarn(c.model.RopeTheta, c.model.Turning(), rope.Slots{Dims: s.RopeDims, Theta: s.Theta}, c.model.MaxPositions)
}

// checkScaling returns an error if the user asks for yarn and the source has no scaling that
// yarn could approximate.
func (c *Choices) checkScaling() error {
	if c.asked.Scaling == ScalingYarn && (c.model.Rope == nil || c.model.Rope.Kind != "llama3" && c.model.Rope.Kind != "yarn") {
		return Misuse("%v is for a source whose RoPE is scaled by llama3 or yarn", option.RopeScaling.Is(ScalingYarn)).Try("leave it out")
	}
	return nil
}

// scaled gives s its scaling if the user asks for yarn and the sizes that the scaling
// depends on are known.
func (c *Choices) scaled(s Sizes) (Sizes, error) {
	if c.asked.Scaling != ScalingYarn || s.Theta == 0 || s.RopeDims == 0 {
		return s, nil
	}
	s.Scaling = c.yarn(s)
	if s.Scaling == nil {
		return s, Misuse("%v finds no slot to scale among %d at %v", option.RopeScaling.Is(ScalingYarn), s.RopeDims/2, option.RopeTheta.Is(fmt.Sprintf("%.9g", s.Theta))).Try("leave it out")
	}
	return s, nil
}

// Keys lists the rotary keys that a search considers for a split: s at every base of the
// source's frequencies, and s with the source's scaling at every base of its unscaled
// frequencies. It lists none if no base gives what the request asks for.
func (c *Choices) Keys(s Sizes) []Sizes {
	var keys []Sizes
	if c.asked.Scaling != ScalingYarn {
		keys = at(s, rope.BasesFor(c.model.RopeTheta, c.model.Rotary(), s.RopeDims))
	}
	if c.asked.Scaling == ScalingYarn || c.triesYarn(s) {
		for _, k := range at(s, rope.Bases(c.model.RopeTheta, c.model.Turning(), s.RopeDims)) {
			k.Scaling = c.yarn(k)
			if k.Scaling != nil {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// at lists s at every base, or s alone if it has a base already.
func at(s Sizes, bases []float64) []Sizes {
	if s.Theta > 0 {
		return []Sizes{s}
	}
	keys := make([]Sizes, len(bases))
	for i, base := range bases {
		keys[i] = s
		keys[i].Theta = base
	}
	return keys
}

// triesYarn reports whether the search considers yarn for s although the user has not asked
// for it. Yarn depends on the numbers of the slots, which padding would change. Old versions
// of llama.cpp misread it, so nobody who converts for llama.cpp gets it unasked.
func (c *Choices) triesYarn(s Sizes) bool {
	return c.asked.Scaling == "" && s.Theta == 0 && !c.pads(s.RopeDims) && !c.target.RunsGGUF()
}
