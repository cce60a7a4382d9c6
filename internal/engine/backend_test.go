package engine_test

import (
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
)

// mla makes sizes of the latent, the rotary key, and the content part of keys and values.
func mla(rank, rope, nope, value int) family.MLA {
	return family.MLA{KVLoraRank: rank, RopeDim: rope, NopeDim: nope, ValueDim: value}
}

// TestPad: each backend gets the smallest sizes that it takes, the cache before the heads, and
// nothing else changes.
func TestPad(t *testing.T) {
	none := family.MLA{}
	for name, c := range map[string]struct {
		backend string
		heads   int
		from    family.MLA
		want    family.MLA
	}{
		"SmolLM2's half, heads alone": {"vllm-triton", 9, mla(144, 48, 64, 64), mla(144, 64, 64, 128)},
		"heads of 128":                {"vllm-triton", 32, mla(448, 64, 128, 128), mla(448, 64, 128, 128)},
		"heads of 192":                {"vllm-triton", 32, mla(448, 64, 192, 192), mla(448, 64, 192, 256)},
		"heads of 256":                {"vllm-triton", 32, mla(448, 64, 256, 256), none},
		"a large rotary key":          {"vllm-triton", 32, mla(448, 96, 128, 128), none},
		"DeepSeek's cache":            {"vllm-flashmla", 9, mla(144, 48, 64, 64), mla(512, 64, 64, 128)},
		"the smaller of two":          {"vllm-flashinfer", 9, mla(144, 48, 64, 64), mla(256, 64, 64, 128)},
		"the larger of two":           {"vllm-flashinfer", 9, mla(257, 48, 64, 64), mla(512, 64, 64, 128)},
		"any heads":                   {"vllm-cpu", 9, mla(144, 48, 64, 64), mla(512, 64, 64, 64)},
		"all sizes":                   {"sglang-triton", 9, mla(144, 48, 64, 64), mla(144, 48, 64, 64)},
		"8 heads":                     {"llama.cpp-cuda", 8, mla(100, 48, 64, 64), mla(128, 64, 64, 64)},
		"32 heads":                    {"llama.cpp-cuda", 32, mla(129, 48, 64, 64), mla(256, 64, 64, 64)},
		"6 heads":                     {"llama.cpp-cuda", 6, mla(100, 48, 64, 64), mla(512, 64, 64, 64)},
		"9 heads":                     {"llama.cpp-cuda", 9, mla(100, 48, 64, 64), mla(512, 64, 64, 64)},
		"9 heads, too large":          {"llama.cpp-cuda", 9, mla(520, 48, 64, 64), none},
	} {
		b, ok := engine.BackendNamed(c.backend)
		if !ok {
			t.Fatalf("there is no %s", c.backend)
		}
		got, ok := b.Pad(c.from, c.heads)
		if ok != (c.want != none) || ok && got != c.want {
			t.Errorf("%s: padded to %+v, %v; want %+v", name, got, ok, c.want)
		}
		if takes := b.Takes(c.from, c.heads); takes != (c.from == c.want) {
			t.Errorf("%s: takes it as it is: %v", name, takes)
		}
		if again, ok := b.Pad(got, c.heads); c.want != none && (!ok || again != got) {
			t.Errorf("%s: what is padded is padded again, to %+v", name, again)
		}
	}
}

// TestBackends: names begin with the engine's, differ, and say where their sizes were read.
func TestBackends(t *testing.T) {
	seen := make(map[string]bool)
	for _, b := range engine.Backends() {
		if seen[b.Name] || !strings.HasPrefix(b.Name, string(b.Engine)+"-") || b.Device == "" || !strings.Contains(b.Source, "/") {
			t.Errorf("%+v", b)
		}
		seen[b.Name] = true
	}
	for e, want := range map[engine.Engine]string{engine.All: "vllm-triton", engine.VLLM: "vllm-triton", engine.SGLang: "sglang-flashmla", engine.LlamaCPP: "llama.cpp-cuda", engine.HF: "", engine.MLX: ""} {
		if b, ok := engine.BackendFor(e); b.Name != want || ok != (want != "") {
			t.Errorf("%s is padded for %q, want %q", e, b.Name, want)
		}
	}
}
