package engine

import (
	"slices"

	"github.com/mha2mla/mha2mla/internal/family"
)

// Backend is an implementation of latent attention in an engine, and the sizes for which it
// is made.
type Backend struct {
	Name   string // of the engine and of the backend in it
	Engine Engine
	Device string      // on which it runs
	Caches []CacheSize // what it takes, the smallest first; none if it takes any
	Heads  []HeadSize  // what it takes, the smallest first; none if it takes any
	Source string      // the repository or package, the file, and the version where the sizes were read
}

// CacheSize is the floats of the latent and of the rotary key in the cache, per token and
// layer. The number of query heads must be a multiple of Queries.
type CacheSize struct{ Rank, RopeDims, Queries int }

// HeadSize is the dimensions of a head: of its content key, of its rotary key, and of its
// value.
type HeadSize struct{ Nope, Rope, Value int }

// vllmPrefill lists the heads that vLLM takes on NVIDIA. It decodes with latents, and reads
// the prompt with keys and values of all heads, for which FlashAttention has these sizes
// alone. At others, vLLM stops.
var vllmPrefill = []HeadSize{{64, 64, 128}, {128, 64, 128}, {192, 64, 256}}

// deepseekCache is the size of DeepSeek's own models, which most kernels are made for.
var deepseekCache = []CacheSize{{512, 64, 1}}

// Backends lists what is known of engines that are not indifferent to sizes. The first
// backend of an engine on a GPU is the one that demands least.
func Backends() []Backend {
	const vllm, llama, sglang = "vllm 0.32.0: v1/attention/backends/mla/", "ggml-org/llama.cpp 00a2d60: ggml/src/ggml-cuda/fattn.cu", "sglang 0.5.23: srt/layers/attention/"
	return []Backend{
		{"vllm-triton", VLLM, "NVIDIA", nil, vllmPrefill, vllm + "triton_mla.py, prefill/flash_attn.py"},
		{"vllm-flashattn", VLLM, "NVIDIA Hopper", deepseekCache, vllmPrefill, vllm + "flashattn_mla.py, prefill/flash_attn.py"},
		{"vllm-flashmla", VLLM, "NVIDIA Hopper, Blackwell", deepseekCache, vllmPrefill, vllm + "flashmla.py, prefill/flash_attn.py"},
		{"vllm-cutlass", VLLM, "NVIDIA Blackwell", deepseekCache, vllmPrefill, vllm + "cutlass_mla.py, prefill/flash_attn.py"},
		{"vllm-flashinfer", VLLM, "NVIDIA Blackwell", []CacheSize{{256, 64, 1}, {512, 64, 1}}, vllmPrefill, vllm + "flashinfer_mla.py, prefill/flash_attn.py"},
		{"vllm-cpu", VLLM, "CPU", deepseekCache, nil, vllm + "cpu_mla.py, amx_mla.py"},
		{"sglang-triton", SGLang, "any GPU", nil, nil, sglang + "triton_backend.py"},
		{"sglang-flashmla", SGLang, "NVIDIA Hopper", deepseekCache, nil, sglang + "flashmla_backend.py"},
		{"llama.cpp-cuda", LlamaCPP, "NVIDIA, with flash attention", []CacheSize{{128, 64, 8}, {256, 64, 32}, {512, 64, 1}}, nil, llama},
		{"llama.cpp-cpu", LlamaCPP, "CPU, or without flash attention", nil, nil, llama},
	}
}

// BackendNamed returns the backend of that name; false if there is none.
func BackendNamed(name string) (Backend, bool) {
	all := Backends()
	i := slices.IndexFunc(all, func(b Backend) bool { return b.Name == name })
	if i < 0 {
		return Backend{}, false
	}
	return all[i], true
}

// BackendFor returns the backend that padding is for if nobody names one: the first that
// demands any sizes, of e or of all engines. It returns false if e takes any sizes.
func BackendFor(e Engine) (Backend, bool) {
	for _, b := range Backends() {
		if slices.Contains(e.Each(), b.Engine) && b.demands() {
			return b, true
		}
	}
	return Backend{}, false
}

// demands reports whether b is made for certain sizes.
func (b Backend) demands() bool { return len(b.Caches) > 0 || len(b.Heads) > 0 }

// Takes reports whether b computes a model of the given sizes and number of query heads.
func (b Backend) Takes(m family.MLA, queries int) bool {
	padded, ok := b.Pad(m, queries)
	return ok && padded == m
}

// Pad returns the smallest sizes that b takes and that hold those of m, which are m itself if
// b takes them. It returns false if there are none. Sizes that are padded are filled with
// zeros (design §3).
func (b Backend) Pad(m family.MLA, queries int) (family.MLA, bool) {
	best, found := m, false
	for _, c := range b.caches(m) {
		for _, h := range b.heads(m, c) {
			fits := m.KVLoraRank <= c.Rank && m.RopeDim <= c.RopeDims && m.NopeDim <= h.Nope && m.ValueDim <= h.Value
			if !fits || h.Rope != c.RopeDims || queries%c.Queries != 0 {
				continue
			}
			padded := m
			padded.KVLoraRank, padded.RopeDim, padded.NopeDim, padded.ValueDim = c.Rank, c.RopeDims, h.Nope, h.Value
			if !found || size(padded) < size(best) {
				best, found = padded, true
			}
		}
	}
	return best, found
}

// caches lists the sizes of the cache to consider for m: those of b, or if it takes any that
// of m with each rotary key that the heads of b have.
func (b Backend) caches(m family.MLA) []CacheSize {
	if len(b.Caches) > 0 {
		return b.Caches
	}
	own := []CacheSize{{m.KVLoraRank, m.RopeDim, 1}}
	for _, h := range b.Heads {
		own = append(own, CacheSize{m.KVLoraRank, h.Rope, 1})
	}
	return own
}

// heads lists the sizes of heads to consider for m in a cache: those of b, or if it takes
// any that of m.
func (b Backend) heads(m family.MLA, c CacheSize) []HeadSize {
	if len(b.Heads) > 0 {
		return b.Heads
	}
	return []HeadSize{{m.NopeDim, c.RopeDims, m.ValueDim}}
}

// size orders sizes by the cache first and then by the heads.
func size(m family.MLA) int {
	return (m.KVLoraRank+m.RopeDim)<<20 + m.NopeDim + m.ValueDim
}
