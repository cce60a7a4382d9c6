package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/option"
)

// Fit says whether a backend takes a model as it is, and what padding would make of it.
type Fit struct {
	Backend
	Takes  bool
	Padded *family.MLA // the smallest sizes that it takes; nil if no padding helps
}

// fits says of each backend of e whether it takes s.
func fits(s *subject, e Engine) []Fit {
	var all []Fit
	for _, b := range Backends() {
		if b.Engine != e {
			continue
		}
		f := Fit{Backend: b, Takes: b.Takes(*s.model.MLA, s.model.Heads)}
		if padded, ok := b.Pad(*s.model.MLA, s.model.Heads); ok {
			f.Padded = &padded
		}
		all = append(all, f)
	}
	return all
}

// RuleKernel is the name of the rule about backends. A checkpoint that breaks it still runs,
// but slowly or with a larger cache.
const RuleKernel = "kernel"

// vllmKernel complains of heads for which vLLM has no prefill on NVIDIA. What it does then
// with latent attention off is to cache keys and values of all heads, the values padded to
// the size of the keys. That is more than most sources cached.
func vllmKernel(s *subject, e Engine) (string, option.Text) {
	m := s.model.MLA
	for _, f := range fits(s, e) {
		if f.Takes && strings.HasPrefix(f.Device, "NVIDIA") {
			return "", nothing
		}
	}
	whole := 2 * s.model.Heads * (m.NopeDim + m.RopeDim)
	what := fmt.Sprintf("it takes no heads of %d + %d and %d on NVIDIA, and with VLLM_MLA_DISABLE=1 caches %d floats a token and layer instead of %d: there you lose", m.NopeDim, m.RopeDim, m.ValueDim, whole, m.KVLoraRank+m.RopeDim)
	b, _ := BackendFor(e)
	padded, ok := b.Pad(*m, s.model.Heads)
	if !ok {
		return what, nothing
	}
	return what, option.Textf("convert with %v, which caches %d", option.PadToKernel.Is(b.Name), padded.KVLoraRank+padded.RopeDim)
}

// sglangKernel complains of sizes that SGLang runs with its slowest backend alone.
func sglangKernel(s *subject, e Engine) (string, option.Text) {
	m := s.model.MLA
	for _, f := range fits(s, e) {
		if f.Takes && f.demands() {
			return "", nothing
		}
	}
	return fmt.Sprintf("only its Triton backend takes %d + %d floats", m.KVLoraRank, m.RopeDim), option.Plain("serve it with --attention-backend triton")
}

// blockOf is the number of values that llama.cpp quantises together in a cache of Q8_0 and of
// the other types that it has for it (ggml-org/llama.cpp: QK8_0 of ggml/src/ggml-common.h).
const blockOf = 32

// LatentBlock returns the number of floats that the latent should be a multiple of for e,
// or 1. A cache of llama.cpp can be quantised at such sizes alone: it stops where a block
// does not divide the latent.
func LatentBlock(e Engine) int {
	if slices.ContainsFunc(e.Each(), Engine.RunsGGUF) {
		return blockOf
	}
	return 1
}

// blocks complains of a latent that llama.cpp cannot quantise.
func blocks(s *subject, _ Engine) (string, option.Text) {
	if s.model.MLA.KVLoraRank%blockOf == 0 {
		return "", nothing
	}
	return fmt.Sprintf("it quantises no cache of %d floats, which blocks of %d do not divide", s.model.MLA.KVLoraRank, blockOf), option.Textf("convert with %v a multiple of %d if -ctk q8_0 -ctv q8_0 is wanted", option.Rank, blockOf)
}
