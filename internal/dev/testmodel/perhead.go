package testmodel

import (
	"cmp"
	"math"
	"os"
	"path/filepath"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
)

// rankFile is the name of the file of rankings.
const rankFile = "rank.pth"

// perHead lists the attention tensors of layer n.
func (m Llama) perHead(n int) []tensor {
	var all []tensor
	add := func(name string, std float64, shape ...int64) {
		all = append(all, tensor{Spec: checkpoint.Spec{Name: family.InLayer(n, name), DType: m.DType, Shape: shape}, mean: 0, std: std})
	}
	d, q, kv := int64(m.Hidden), int64(m.Heads*m.HeadDim), int64(m.KVHeads*m.HeadDim)
	rotary, r := int64(m.KVHeads*m.PerHead.RopeDims), int64(m.PerHead.LowRank*m.KVHeads)
	in, up := 1/math.Sqrt(float64(d)), 1/math.Sqrt(float64(r))
	add(family.QProj, 1.5*in, q, d)
	add(family.KRProj, 1.5*in, rotary, d)
	if m.PerHead.Split {
		add(family.DownK, in, r, d)
		add(family.DownV, in, r, d)
	} else {
		add(family.DownKV, in, r, d)
	}
	add(family.UpK, 1.5*up, kv-rotary, r)
	add(family.UpV, up, kv, r)
	add(family.OProj, 1/math.Sqrt(float64(q)), d, q)
	inner, output := m.biases()
	size := cmp.Or(m.Bias, 1)
	if inner {
		add(family.QBias, size, q)
		add(family.KRBias, size, rotary)
		add(family.UpKBias, size, kv-rotary)
		add(family.UpVBias, size, kv)
	}
	if output {
		add(family.OBias, size, d)
	}
	return all
}

// config returns the member of the configuration that describes the form.
func (p *PerHead) config() family.PerHeadConfig {
	c := family.PerHeadConfig{Version: "high", RopeDim: p.RopeDims, SVD: "joint", LowRank: p.LowRank}
	if p.Split {
		c.SVD = "split"
	}
	if p.Ranks != nil {
		name := "utils/" + rankFile // the path where it was made; it is read beside the weights
		c.Version, c.RankFile = family.ByRank, &name
	}
	return c
}

// writeRanks writes the file of rankings, if the model has one.
func (m Llama) writeRanks(dir string) error {
	if m.PerHead == nil || m.PerHead.Ranks == nil {
		return nil
	}
	content, err := family.EncodeRankings(m.PerHead.Ranks)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, rankFile), content, 0o666)
}
