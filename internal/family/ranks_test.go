package family_test

import (
	"testing"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
)

// TestPerRank: KV heads are divided among ranks, and each has one at least; a latent is on
// every rank.
func TestPerRank(t *testing.T) {
	source := testmodel.Llama{Heads: 8, KVHeads: 4, HeadDim: 16, Layers: 3}.Open(t)
	converted := testmodel.Llama{Layers: 3, Latent: &testmodel.Latent{Rank: 40, RopeDims: 8, NopeDim: 16, ValueDim: 16}}.Open(t)
	for ranks, want := range map[int]family.RankCache{
		1: {1, 3 * 4 * 128, 3 * 4 * 48, 1 - 48.0/128},
		2: {2, 3 * 4 * 64, 3 * 4 * 48, 1 - 48.0/64},
		3: {3, 3 * 4 * 64, 3 * 4 * 48, 1 - 48.0/64}, // a rank has two heads
		4: {4, 3 * 4 * 32, 3 * 4 * 48, 1 - 48.0/32},
		8: {8, 3 * 4 * 32, 3 * 4 * 48, 1 - 48.0/32},
	} {
		if got := family.PerRank(ranks, source, converted, 0); *got != want {
			t.Errorf("%+v, want %+v", *got, want)
		}
	}
	if got := family.PerRank(2, source, converted, 2); got.Converted != 3*2*48 {
		t.Errorf("in 16 bits %d bytes, want %d", got.Converted, 3*2*48)
	}
}
