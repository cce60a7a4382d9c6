package study

import (
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// settings lists the settings of a method that are tried within a cache.
func settings(method mla.Method, cache, headDim int) []plan.Request {
	alone := plan.Request{Method: method, Cache: cache}
	switch method {
	case mla.MethodMHA2MLA:
		return paper(alone, headDim)
	case mla.MethodTransMLA:
		return transMLA(alone, headDim)
	default:
		return []plan.Request{alone}
	}
}

// paper lists the settings of MHA2MLA: every strategy of its §3.1, an eighth, a
// quarter and a half of the rotary dimensions kept, the joint SVD.
func paper(alone plan.Request, headDim int) []plan.Request {
	var all []plan.Request
	for _, strategy := range []rope.Strategy{rope.ByNorm, rope.High, rope.Low, rope.Uniform} {
		for _, part := range []int{8, 4, 2} {
			r := alone
			r.Select, r.RopeDims = strategy, headDim/part
			if r.RopeDims >= 2 && r.RopeDims%2 == 0 {
				all = append(all, r)
			}
		}
	}
	return all
}

// transMLA lists the settings of TransMLA: rotary keys of a quarter, a half and
// all of a head's dimensions, frequencies folded as little as that allows, twice
// and four times as much.
func transMLA(alone plan.Request, headDim int) []plan.Request {
	var all []plan.Request
	for _, part := range []int{4, 2, 1} {
		for _, more := range []int{1, 2, 4} {
			r := alone
			r.RopeDims, r.FreqFold = headDim/part, part*more
			if r.RopeDims >= 2 && r.RopeDims%2 == 0 && r.FreqFold <= headDim/2 {
				all = append(all, r)
			}
		}
	}
	return all
}
