package engine

import (
	"fmt"

	"github.com/mha2mla/mha2mla/internal/option"
)

// Kernel is a size of the cache for which GPU kernels are made: the floats of the latent
// and of the rotary key, per token and layer.
type Kernel struct{ Rank, RopeDims int }

// KernelHeadDim is the number of dimensions that the content part of a key and a value must
// have for these kernels.
const KernelHeadDim = 128

// Kernels lists the sizes that the kernels of vLLM and SGLang take, the smallest first
// (design §3).
func Kernels() []Kernel { return []Kernel{{256, 64}, {512, 64}} }

// RuleKernel is the name of the rule about kernels. A checkpoint that breaks it still runs,
// but slowly or with a larger cache.
const RuleKernel = "kernel"

// kernel complains of sizes for which no GPU kernel is made. vLLM refuses them unless its
// latent attention is off, and SGLang needs its Triton backend for them.
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
