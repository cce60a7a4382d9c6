package engine

import (
	"fmt"

	"github.com/mha2mla/mha2mla/internal/option"
)

// Kernel is a size of the cache, latent and rotary key, that GPU kernels are
// made for.
type Kernel struct{ Rank, RopeDims int }

// KernelHeadDim is the size of the heads that go with them.
const KernelHeadDim = 128

// Kernels lists those of vLLM and SGLang, the smallest first (design §3).
func Kernels() []Kernel { return []Kernel{{256, 64}, {512, 64}} }

// RuleKernel is the name of the rule about them, which is all about speed.
const RuleKernel = "kernel"

// kernel: vLLM refuses other sizes unless its latent attention is off, SGLang
// runs them on its Triton backend.
func kernel(s *subject, _ Engine) (string, option.Text) {
	m := s.model.MLA
	fits := m.NopeDim <= KernelHeadDim && m.ValueDim <= KernelHeadDim
	var nearest *Kernel
	for _, k := range Kernels() {
		if m.KVLoraRank <= k.Rank && m.RopeDim <= k.RopeDims && fits {
			nearest = &k
			break
		}
	}
	if nearest != nil && *nearest == (Kernel{m.KVLoraRank, m.RopeDim}) && m.NopeDim == KernelHeadDim && m.ValueDim == KernelHeadDim {
		return "", nothing
	}
	what := fmt.Sprintf("no GPU kernel is made for %d + %d floats and heads of %d and %d", m.KVLoraRank, m.RopeDim, m.NopeDim, m.ValueDim)
	const slow = "vLLM runs it with VLLM_MLA_DISABLE=1 and a whole cache, SGLang with --attention-backend triton"
	if nearest == nil {
		return what + ", and none so large", option.Plain(slow)
	}
	return fmt.Sprintf("%s; the nearest is for %d + %d and %d", what, nearest.Rank, nearest.RopeDims, KernelHeadDim), option.Textf("convert with %v, or %s", option.PadToKernel, slow)
}
