package plan

import (
	"fmt"
	"slices"

	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
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
func yarn(m *family.Model, s Sizes) *rope.Scaling {
	return m.Rope.Yarn(m.RopeTheta, m.HeadDim, rope.Slots{Dims: s.RopeDims, Theta: s.Theta}, m.MaxPositions)
}

// checkScaling checks the option about it.
func (o *Options) checkScaling(m *family.Model) error {
	if o.Scaling == ScalingYarn && (m.Rope == nil || m.Rope.Kind != "llama3" && m.Rope.Kind != "yarn") {
		return &UsageError{"--rope-scaling yarn is for a source whose RoPE is scaled by llama3 or yarn", "leave it out"}
	}
	return nil
}

// scaled gives s its scaling if yarn is asked for and all is known that it depends on.
func (o *Options) scaled(m *family.Model, s Sizes) (Sizes, error) {
	if o.Scaling != ScalingYarn || s.Theta == 0 || s.RopeDims == 0 {
		return s, nil
	}
	if s.Scaling = yarn(m, s); s.Scaling == nil {
		return s, &UsageError{fmt.Sprintf("--rope-scaling yarn finds no slot to scale among %d at --rope-theta %.9g", s.RopeDims/2, s.Theta), "leave it out"}
	}
	return s, nil
}

// Keys lists the rotary keys that a search considers for a split: s at every base,
// and at those of the source's unscaled frequencies with its scaling, too. It lists
// none if the options ask for what cannot be.
func (o *Options) Keys(m *family.Model, s Sizes) []Sizes {
	var keys []Sizes
	if o.Scaling != ScalingYarn {
		keys = at(s, rope.BasesFor(m.RopeTheta, m.Frequencies(), s.RopeDims))
	}
	if o.Scaling == ScalingYarn || o.triesYarn(s) {
		for _, k := range at(s, rope.Bases(m.RopeTheta, m.HeadDim, s.RopeDims)) {
			if k.Scaling = yarn(m, k); k.Scaling != nil {
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
func (o *Options) triesYarn(s Sizes) bool {
	moved := o.PadToKernel && !slices.ContainsFunc(engine.Kernels(), func(k engine.Kernel) bool { return k.RopeDims == s.RopeDims })
	return o.Scaling == "" && s.Theta == 0 && !moved && o.Target != engine.LlamaCPP
}
