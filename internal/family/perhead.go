package family

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/pth"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// PerHead is latent attention as the reference implementation of the MHA2MLA paper
// defines it (design §7). Every KV head keeps some of its rotary pairs, which turn at
// the frequencies that they had. The rest of its keys and its values are projected up
// from one latent, or from two if Split is set.
type PerHead struct {
	Rank     int    `json:"rank"`                 // r of each latent: low_rank times the number of KV heads
	RopeDim  int    `json:"rope_dim"`             // dr, rotary dimensions per KV head
	Split    bool   `json:"split"`                // keys have one latent and values another
	Version  string `json:"partial_rope_version"` // high, low, uniform or 2-norm
	RankFile string `json:"rank_file,omitempty"`  // the file beside the weights that holds the ranking of 2-norm

	rankings []rope.Ranking // [layers]
}

// These are the names that the tensors of a layer have in that form, after the prefix
// of the layer.
const (
	KRProj = "self_attn.k_r_proj.weight"
	DownKV = "self_attn.kv_proj.down_kv.weight"
	DownK  = "self_attn.kv_proj.down_k.weight"
	DownV  = "self_attn.kv_proj.down_v.weight"
	UpK    = "self_attn.kv_proj.up_k.weight"
	UpV    = "self_attn.kv_proj.up_v.weight"

	KRBias  = "self_attn.k_r_proj.bias"
	UpKBias = "self_attn.kv_proj.up_k.bias"
	UpVBias = "self_attn.kv_proj.up_v.bias"
)

// ByRank is the version under which the reference reads the choice of pairs from a
// file of ranks, however that choice was made.
const ByRank = "2-norm"

// PerHeadKey is the member of the configuration that describes the form.
const PerHeadKey = "mha2mla"

// PerHeadConfig is the content of that member.
type PerHeadConfig struct {
	Version     string  `json:"partial_rope_version"`
	RopeDim     int     `json:"rope_dim_for_mla"`
	Start       int     `json:"uniform_start_point"`
	RankFile    *string `json:"qk_tensor_path"`
	SVD         string  `json:"svd_init_method"`
	LowRank     int     `json:"low_rank"`
	Baseline    bool    `json:"is_baseline"`
	Expanded    bool    `json:"is_gqa2mha2mla"`
	FromScratch bool    `json:"is_mla_from_scratch"`
}

// Kept lists, per KV head of layer n, the pairs that keep their rotation, in
// ascending order.
func (p *PerHead) Kept(n int) [][]int { return p.rankings[n].Kept(p.RopeDim / 2) }

// cacheFloats is the number of floats that the cache of a model with G KV heads takes
// per token and layer.
func (p *PerHead) cacheFloats(G int) int {
	latents := 1
	if p.Split {
		latents = 2
	}
	return latents*p.Rank + G*p.RopeDim
}

// attentionTensors lists the tensors of a layer's attention in m, with their shapes.
func (p *PerHead) attentionTensors(m *Model) []TensorShape {
	d, H, G, D := int64(m.Hidden), int64(m.Heads), int64(m.KVHeads), int64(m.HeadDim)
	r, dr := int64(p.Rank), int64(p.RopeDim)
	tensors := []TensorShape{
		{InputNorm, []int64{d}},
		{QProj, []int64{H * D, d}},
		{KRProj, []int64{G * dr, d}},
		{UpK, []int64{G * (D - dr), r}},
		{UpV, []int64{G * D, r}},
		{OProj, []int64{d, H * D}},
	}
	if m.Biases {
		tensors = append(tensors, TensorShape{QBias, []int64{H * D}}, TensorShape{KRBias, []int64{G * dr}},
			TensorShape{UpKBias, []int64{G * (D - dr)}}, TensorShape{UpVBias, []int64{G * D}})
	}
	if m.OutputBias {
		tensors = append(tensors, TensorShape{OBias, []int64{d}})
	}
	if p.Split {
		return append(tensors, TensorShape{DownK, []int64{r, d}}, TensorShape{DownV, []int64{r, d}})
	}
	return append(tensors, TensorShape{DownKV, []int64{r, d}})
}

// perHead reads the member of the configuration that describes the form. A
// configuration without it is an ordinary one, and perHead leaves m as it is.
func (f *fields) perHead(m *Model) error {
	var c PerHeadConfig
	if ok, err := f.decode(PerHeadKey, "an object of the reference's arguments", &c); err != nil || !ok || c.Baseline {
		return err
	}
	if c.Expanded {
		return &UnsupportedError{`a checkpoint with "is_gqa2mha2mla": true cannot be run`, ""}
	}
	if c.SVD != "joint" && c.SVD != "split" {
		return &UnsupportedError{fmt.Sprintf("a checkpoint with \"svd_init_method\": %q cannot be run", c.SVD), "joint and split can"}
	}
	const most = 1 << 24
	f.check(c.LowRank > 0 && c.LowRank < most, "%q is %d and must be positive and below 2^24", "low_rank", c.LowRank)
	f.check(c.RopeDim > 0 && c.RopeDim%2 == 0 && c.RopeDim <= m.HeadDim, "%q is %d and must be even, positive and at most head_dim", "rope_dim_for_mla", c.RopeDim)
	if f.err != nil {
		return nil
	}
	p := &PerHead{Rank: c.LowRank * m.KVHeads, RopeDim: c.RopeDim, Split: c.SVD == "split", Version: c.Version}
	m.PerHead = p
	switch c.Version {
	case ByRank:
		f.check(c.RankFile != nil && *c.RankFile != "", "%q is missing", "qk_tensor_path")
		if c.RankFile != nil {
			p.RankFile = filepath.Base(*c.RankFile)
		}
	case "uniform":
		f.check(m.HeadDim%c.RopeDim == 0, "%q is %d, which does not divide head_dim %d", "rope_dim_for_mla", c.RopeDim, m.HeadDim)
		f.check(c.Start == 0, "%q is %d: 0 alone is supported", "uniform_start_point", c.Start)
	case "high", "low":
	default:
		f.complain(fmt.Errorf("%q is %q and must be high, low, uniform or 2-norm", "partial_rope_version", c.Version))
	}
	return nil
}

// rank works out which pairs every KV head keeps. The version 2-norm takes them from
// the file of ranks beside the weights; the other versions fix them.
func (p *PerHead) rank(m *Model) (err error) {
	if p.RankFile != "" {
		path := filepath.Join(m.Source.Dir, p.RankFile)
		p.rankings, err = ReadRankings(path, m)
		if errors.Is(err, fs.ErrNotExist) {
			return &checkpoint.FormatError{Path: path, What: "the configuration names it as the ranking of rotary pairs, and it is not there", Tip: "put it beside the weights"}
		}
		return err
	}
	fixed, _ := rope.Strategy(p.Version).FixedRank(m.HeadDim/2, p.RopeDim/2)
	all := make(rope.Ranking, m.KVHeads)
	for g := range all {
		all[g] = fixed
	}
	for range m.Layers {
		p.rankings = append(p.rankings, all)
	}
	return nil
}

// ReadRankings reads a file of ranks, as the reference implementation writes it, for the
// layers of m. It holds a tensor of bytes [layers, KV heads, head_dim], in which both
// rows of a pair hold the rank of the pair. The rankings come back one for each layer.
// It is an error if the file is no such tensor, has another shape, or has ranks that
// are no permutation.
func ReadRankings(path string, m *Model) ([]rope.Ranking, error) {
	t, err := pth.ReadFile(path)
	if err != nil {
		return nil, err
	}
	wrong := func(format string, args ...any) error {
		return &checkpoint.FormatError{Path: path, What: fmt.Sprintf(format, args...), Tip: "see that the ranks belong to this model"}
	}
	L, G, D := m.Layers, m.KVHeads, m.HeadDim
	if len(t.Shape) != 3 || t.Shape[0] != L || t.Shape[1] != G || t.Shape[2] != D {
		return nil, wrong("it has shape %v and the model has %d layers, %d KV heads and head_dim %d", t.Shape, L, G, D)
	}
	all := make([]rope.Ranking, L)
	for n := range all {
		for g := range G {
			row := t.Data[(n*G+g)*D:][:D]
			rank, seen := make([]int, D/2), make([]bool, D/2)
			for i := range rank {
				at := int(row[i])
				if at >= len(seen) || seen[at] || row[i+D/2] != row[i] {
					return nil, wrong("layer %d, KV head %d: its ranks are not each of 0 to %d, twice", n, g, D/2-1)
				}
				rank[i], seen[at] = at, true
			}
			all[n] = append(all[n], rank)
		}
	}
	return all, nil
}

// EncodeRankings returns the content of a file of ranks that ReadRankings reads: all
// holds a ranking for each layer. A rank is stored as a byte, so ranks must be below 256.
func EncodeRankings(all []rope.Ranking) ([]byte, error) {
	t := &pth.Tensor{Shape: []int{len(all), len(all[0]), 2 * len(all[0][0])}}
	for _, layer := range all {
		for _, rank := range layer {
			for range 2 { // the rows of real parts, then those of imaginary parts
				for _, at := range rank {
					t.Data = append(t.Data, byte(at))
				}
			}
		}
	}
	return pth.Encode(t)
}

// SetPerHead writes the description of the form p into a configuration of a model with
// kvHeads KV heads.
func (c *Config) SetPerHead(p *PerHead, kvHeads int) {
	d := PerHeadConfig{Version: p.Version, RopeDim: p.RopeDim, SVD: "joint", LowRank: p.Rank / kvHeads}
	if p.Split {
		d.SVD = "split"
	}
	if p.RankFile != "" {
		d.RankFile = &p.RankFile
	}
	text, _ := json.Marshal(d) // a struct of plain fields always marshals
	c.Set(PerHeadKey, json.RawMessage(text))
}
