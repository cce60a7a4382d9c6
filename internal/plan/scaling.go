package plan

import (
	"fmt"
	"slices"

	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// RopeScaling says how the frequencies of the rotary key are scaled.
type RopeScaling string

// The ways. Without a word the search for their base tries both; a base that is
// given is not scaled.
const (
	ScalingNone RopeScaling = "none"
	ScalingYarn RopeScaling = "yarn"
)

// yarn is the scaling of the rotary key of s that turns as the source does; nil if
// there is none.
func (c *Choices) yarn(s Sizes) *rope.Scaling {
	return c.model.Rope.Yarn(c.model.RopeTheta, c.model.HeadDim, rope.Slots{Dims: s.RopeDims, Theta: s.Theta}, c.model.MaxPositions)
}

// checkScaling checks the option about it.
func (c *Choices) checkScaling() error {
	if c.asked.Scaling == ScalingYarn && (c.model.Rope == nil || c.model.Rope.Kind != "llama3" && c.model.Rope.Kind != "yarn") {
		return Misuse("%v is for a source whose RoPE is scaled by llama3 or yarn", option.RopeScaling.Is(ScalingYarn)).Try("leave it out")
	}
	return nil
}

// scaled gives s its scaling if yarn is asked for and all is known that it depends on.
func (c *Choices) scaled(s Sizes) (Sizes, error) {
	if c.asked.Scaling != ScalingYarn || s.Theta == 0 || s.RopeDims == 0 {
		return s, nil
	}
	if s.Scaling = c.yarn(s); s.Scaling == nil {
		return s, Misuse("%v finds no slot to scale among %d at %v", option.RopeScaling.Is(ScalingYarn), s.RopeDims/2, option.RopeTheta.Is(fmt.Sprintf("%.9g", s.Theta))).Try("leave it out")
	}
	return s, nil
}

// Keys lists the rotary keys that a search considers for a split: s at every base,
// and at those of the source's unscaled frequencies with its scaling, too. It lists
// none if the request asks for what cannot be.
func (c *Choices) Keys(s Sizes) []Sizes {
	var keys []Sizes
	if c.asked.Scaling != ScalingYarn {
		keys = at(s, rope.BasesFor(c.model.RopeTheta, c.model.Frequencies(), s.RopeDims))
	}
	if c.asked.Scaling == ScalingYarn || c.triesYarn(s) {
		for _, k := range at(s, rope.Bases(c.model.RopeTheta, c.model.HeadDim, s.RopeDims)) {
			if k.Scaling = c.yarn(k); k.Scaling != nil {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// at lists s at every base, or at its own if it has one.
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

// triesYarn reports whether yarn is considered for s unasked. It goes by the number of
// a pair, which padding would change; and an engine of which old versions misread it
// is not taken by surprise.
func (c *Choices) triesYarn(s Sizes) bool {
	moved := c.pad && !slices.ContainsFunc(engine.Kernels(), func(k engine.Kernel) bool { return k.RopeDims == s.RopeDims })
	return c.asked.Scaling == "" && s.Theta == 0 && !moved && c.target != engine.LlamaCPP
}
