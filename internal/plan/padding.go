package plan

import (
	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/option"
)

// padding chooses the backend to whose sizes the output is padded, if the request asks for
// one.
func (c *Choices) padding() error {
	name := c.asked.PadToKernel
	if name == "" {
		return nil
	}
	b, ok := engine.BackendNamed(name)
	if name == PadForTarget {
		b, ok = engine.BackendFor(c.target)
	}
	if !ok && name == PadForTarget {
		return Misuse("%v takes any sizes: there is nothing to pad to", option.Target.Is(c.target)).Try("leave %v out", option.PadToKernel)
	}
	if !ok {
		return Misuse("%v: there is no such backend", option.PadToKernel.Is(name))
	}
	c.pad = &b
	return nil
}

// padded pads d, the layout at the sizes s, to what the chosen backend takes. It returns an
// error if that backend takes nothing so large, or if the cache would become larger than the
// source's and the request does not allow that.
func (c *Choices) padded(d *layout.Deepseek, s Sizes) error {
	if c.pad == nil {
		return nil
	}
	if err := d.PadTo(*c.pad, c.model.Heads); err != nil {
		return Misuse("%v: %v", option.PadToKernel, err)
	}
	if s.Scaling != nil && d.RopeDim != s.RopeDims {
		return Misuse("%v goes with %v at %v alone: padding would move its bounds", option.RopeScaling.Is(ScalingYarn), option.PadToKernel, option.RopeDims.Is(d.RopeDim)).Try("leave one of them out")
	}
	after := d.KVLoraRank + d.RopeDim
	if after >= c.model.CacheFloats() && !c.asked.LargerCache {
		return Misuse("%v makes the cache %d floats, and the source has %d: there is nothing to win", option.PadToKernel.Is(c.pad.Name), after, c.model.CacheFloats()).Try("choose another backend, or allow it with %v", option.LargerCache)
	}
	return nil
}

// pads reports whether padding to the chosen backend would enlarge a rotary key of that many
// dimensions.
func (c *Choices) pads(ropeDims int) bool {
	if c.pad == nil {
		return false
	}
	for _, h := range c.pad.Heads {
		if h.Rope == ropeDims {
			return false
		}
	}
	for _, size := range c.pad.Caches {
		if size.RopeDims == ropeDims {
			return false
		}
	}
	return true
}
