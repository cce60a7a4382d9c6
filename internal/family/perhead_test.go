package family_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/pth"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// TestPerHead reads the reference's form: sizes, cache and pairs.
func TestPerHead(t *testing.T) {
	ranks := []rope.Ranking{{{3, 0, 2, 1}, {1, 2, 3, 0}}, {{0, 1, 2, 3}, {2, 0, 1, 3}}}
	for name, c := range map[string]struct {
		make  testmodel.PerHead
		cache int
		kept  []int // of layer 1, KV head 1
	}{
		"joint": {testmodel.PerHead{LowRank: 3, RopeDims: 4}, 6 + 8, []int{0, 1}},
		"split": {testmodel.PerHead{LowRank: 3, RopeDims: 2, Split: true}, 12 + 4, []int{0}},
		"ranks": {testmodel.PerHead{LowRank: 3, RopeDims: 4, Ranks: ranks}, 6 + 8, []int{1, 2}},
	} {
		m := testmodel.Llama{KVHeads: 2, PerHead: &c.make}.Open(t)
		if m.CacheFloats() != c.cache || m.CacheBytes() != int64(2*4*c.cache) || !slices.Equal(m.PerHead.Kept(1)[1], c.kept) {
			t.Errorf("%s: cache of %d floats, %d bytes; kept %v", name, m.CacheFloats(), m.CacheBytes(), m.PerHead.Kept(1))
		}
		if err := m.Convertible(); !errors.As(err, new(*family.UnsupportedError)) {
			t.Errorf("%s: convertible once more: %v", name, err)
		}
	}
}

// TestPerHeadRefused: what the form cannot mean is named.
func TestPerHeadRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*family.PerHeadConfig)
		want   string
	}{
		"no rank":    {func(c *family.PerHeadConfig) { c.LowRank = 0 }, `"low_rank" is 0`},
		"huge rank":  {func(c *family.PerHeadConfig) { c.LowRank = 1 << 40 }, `below 2^24`},
		"odd":        {func(c *family.PerHeadConfig) { c.RopeDim = 3 }, `"rope_dim_for_mla" is 3`},
		"too many":   {func(c *family.PerHeadConfig) { c.RopeDim = 10 }, "at most head_dim"},
		"other rank": {func(c *family.PerHeadConfig) { c.LowRank = 4 }, "has shape"},
		"no SVD":     {func(c *family.PerHeadConfig) { c.SVD = "none" }, `"svd_init_method": "none"`},
		"expanded":   {func(c *family.PerHeadConfig) { c.Expanded = true }, "is_gqa2mha2mla"},
		"version":    {func(c *family.PerHeadConfig) { c.Version = "best" }, "high, low, uniform or 2-norm"},
		"no file":    {func(c *family.PerHeadConfig) { c.Version = "2-norm" }, "qk_tensor_path"},
		"file missing": {func(c *family.PerHeadConfig) {
			c.Version = "2-norm"
			c.RankFile = new(string)
			*c.RankFile = "/a/b.pth"
		}, "not there"},
		"start":      {func(c *family.PerHeadConfig) { c.Version, c.Start = "uniform", 1 }, "uniform_start_point"},
		"no divisor": {func(c *family.PerHeadConfig) { c.Version, c.RopeDim = "uniform", 6 }, "does not divide"},
	} {
		config := family.PerHeadConfig{Version: "high", RopeDim: 4, SVD: "joint", LowRank: 3}
		c.change(&config)
		dir := testmodel.Llama{PerHead: &testmodel.PerHead{LowRank: 3, RopeDims: 4}, Config: map[string]any{family.PerHeadKey: config}}.Write(t)
		src, err := checkpoint.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		_, err = family.Read(src, "")
		src.Close()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if !errors.As(err, new(*family.UnsupportedError)) && !errors.As(err, new(*checkpoint.FormatError)) {
			t.Errorf("%s: got a %T, want an UnsupportedError or a FormatError", name, err)
		}
	}
	baseline := testmodel.Llama{Config: map[string]any{family.PerHeadKey: family.PerHeadConfig{Baseline: true}}}.Open(t)
	if baseline.PerHead != nil {
		t.Error("the reference's baseline is no such form")
	}
}

// TestRankings: a file of ranks must be of the model, and hold ranks.
func TestRankings(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	good := []byte{3, 0, 2, 1, 3, 0, 2, 1, 0, 1, 2, 3, 0, 1, 2, 3}
	good = append(good, good...)
	with := func(at int, v byte) []byte {
		data := slices.Clone(good)
		data[at] = v
		return data
	}
	for name, c := range map[string]struct {
		t    pth.Tensor
		want string
	}{
		"good":         {pth.Tensor{Shape: []int{2, 2, 8}, Data: good}, ""},
		"layers":       {pth.Tensor{Shape: []int{1, 2, 8}, Data: good[:16]}, "has shape [1 2 8]"},
		"dimensions":   {pth.Tensor{Shape: []int{4, 8}, Data: good}, "has shape [4 8]"},
		"halves":       {pth.Tensor{Shape: []int{2, 2, 8}, Data: with(4, 2)}, "layer 0, KV head 0"},
		"rank twice":   {pth.Tensor{Shape: []int{2, 2, 8}, Data: with(25, 0)}, "layer 1, KV head 1"},
		"out of range": {pth.Tensor{Shape: []int{2, 2, 8}, Data: with(8, 9)}, "layer 0, KV head 1"},
	} {
		content, err := pth.Encode(&c.t)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "rank.pth")
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
		all, err := family.ReadRankings(path, m)
		if c.want == "" {
			again, encodeErr := family.EncodeRankings(all)
			if err != nil || encodeErr != nil || string(again) != string(content) {
				t.Errorf("%s: read %v, %v; writing them again gives %v, want the same file", name, all, err, encodeErr)
			}
			continue
		}
		if !errors.As(err, new(*checkpoint.FormatError)) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
