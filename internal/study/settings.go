package study

import (
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// settings lists the settings of a method that are tried within a cache.
func settings(method mla.Method, cache, headDim int) []plan.Options {
	preset := plan.Defaults()
	preset.Method, preset.Cache = method, cache
	if err := preset.Preset(func(string) bool { return false }); err != nil {
		panic(err) // nothing was given that it could refuse
	}
	switch method {
	case mla.MethodMHA2MLA:
		return paper(preset, headDim)
	case mla.MethodTransMLA:
		return transMLA(preset, headDim)
	default:
		return []plan.Options{preset}
	}
}

// paper lists the settings of MHA2MLA: every strategy of its §3.1, an eighth, a
// quarter and a half of the rotary dimensions kept, the joint SVD.
func paper(preset plan.Options, headDim int) []plan.Options {
	var all []plan.Options
	for _, strategy := range []rope.Strategy{rope.ByNorm, rope.High, rope.Low, rope.Uniform} {
		for _, part := range []int{8, 4, 2} {
			o := preset
			if o.Select, o.RopeDims = strategy, headDim/part; o.RopeDims >= 2 && o.RopeDims%2 == 0 {
				all = append(all, o)
			}
		}
	}
	return all
}

// transMLA lists the settings of TransMLA: rotary keys of a quarter, a half and
// all of a head's dimensions, frequencies folded as little as that allows, twice
// and four times as much.
func transMLA(preset plan.Options, headDim int) []plan.Options {
	var all []plan.Options
	for _, part := range []int{4, 2, 1} {
		for _, more := range []int{1, 2, 4} {
			o := preset
			o.RopeDims, o.FreqFold = headDim/part, part*more
			if o.RopeDims >= 2 && o.RopeDims%2 == 0 && o.FreqFold <= headDim/2 {
				all = append(all, o)
			}
		}
	}
	return all
}
