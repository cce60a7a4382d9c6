package study

import (
	"context"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/lowrank"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Inspection is what was found of every layer of a checkpoint. Its fields are the JSON output.
type Inspection struct {
	Model  *family.Model `json:"model"`
	Sizes  plan.Sizes    `json:"sizes"` // those inspected
	Layout layout.Form   `json:"layout"`
	Rotary int           `json:"rotary_floats"` // of the cache, per token and layer
	Layers []Layer       `json:"layers"`
	Cache  []Cache       `json:"cache"`
	Source int64         `json:"source_bytes_per_token_per_rank,omitempty"` // 0 unless somebody asks for ranks
}

// Layer is one layer of an inspection. H query heads, J rotary pairs.
type Layer struct {
	Layer        int         `json:"layer"`
	Sensitivity  [][]float64 `json:"sensitivity"`   // [H][J], S(h,i) of design §4
	Share        []float64   `json:"share"`         // [J], of the layer's sensitivity, over all heads
	Kept         []bool      `json:"kept"`          // [J]: the pair keeps its rotation in some slot or KV head
	Slots        [][]int     `json:"slots"`         // pairs that each slot serves, or that each KV head keeps
	RotationLoss float64     `json:"rotation_loss"` // predicted share of the rotation that is lost
	Rank90       int         `json:"rank_90"`       // ranks that keep 90, 95 and 99 % of the stack's energy
	Rank95       int         `json:"rank_95"`
	Rank99       int         `json:"rank_99"`
	Spectrum     []float64   `json:"spectrum"` // energy that each rank adds, of 1
}

// Cache is the size of the KV cache at one rank.
type Cache struct {
	Rank   int     `json:"kv_lora_rank"`
	DKV    float64 `json:"dkv"`                                // latent floats per KV head
	Floats int     `json:"floats"`                             // per token and layer, rotary key included
	Saving float64 `json:"saving"`                             // share of the source's cache
	Bytes  int64   `json:"bytes_per_token_per_rank,omitempty"` // in the source's type; 0 unless somebody asks for ranks
	Energy float64 `json:"energy"`                             // share of the stacks' energy that is kept, mean over the layers
}

// Inspect says what a conversion of m at the given sizes, which must be known, would
// keep and lose of each layer, without converting it. The choices are for m.
func Inspect(ctx context.Context, m mla.Input, choices *plan.Choices, s plan.Sizes, progress func(done, total int64)) (*Inspection, error) {
	r := &Inspection{Model: m.Model, Sizes: s, Layout: choices.Form(), Rotary: choices.RotaryFloats(s)}
	maths := choices.Maths(s)
	for n := range m.Layers {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		layer, err := inspectLayer(m, n, maths)
		if err != nil {
			return nil, mla.Explain(n, err)
		}
		r.Layers = append(r.Layers, *layer)
		if progress != nil {
			progress(int64(n+1), int64(m.Layers))
		}
	}
	r.listCaches(m.Model, choices)
	return r, m.Source.Unchanged()
}

// inspectLayer inspects layer n of m.
func inspectLayer(m mla.Input, n int, o mla.Options) (*Layer, error) {
	attention, err := m.Read(n)
	if err != nil {
		return nil, err
	}
	choice, err := attention.Choose(o)
	if err != nil {
		return nil, err
	}
	spectrum, err := attention.Spectrum(choice, o.Weights)
	if err != nil {
		return nil, err
	}
	l := &Layer{Layer: n, Sensitivity: attention.Sensitivity(), Slots: choice.Pairs(), RotationLoss: attention.RotationShare(choice)}
	l.Share = rope.Shares(l.Sensitivity)
	l.Kept = make([]bool, len(l.Share))
	for _, pairs := range choice.Pairs() {
		for _, i := range pairs {
			l.Kept[i] = true
		}
	}
	l.Rank90, l.Rank95, l.Rank99 = lowrank.Rank(spectrum, 0.90), lowrank.Rank(spectrum, 0.95), lowrank.Rank(spectrum, 0.99)
	total := lowrank.Loss(spectrum, 0)
	for _, v := range spectrum {
		if total > 0 {
			v = max(0, v) / total
		}
		l.Spectrum = append(l.Spectrum, v)
	}
	return l, nil
}

// tellRanks says of every cache what it takes of each of several ranks of tensor parallelism.
// Latents are on all of them.
func (r *Inspection) tellRanks(ranks int) {
	r.Source = family.PerRank(ranks, r.Model, r.Model, 0).Source
	each := r.Model.CacheBytes() / int64(r.Model.CacheFloats())
	rotary := r.Rotary
	if r.Layout == layout.FormReference {
		rotary = (r.Model.KVHeads + ranks - 1) / ranks * r.Sizes.RopeDims
	}
	for i := range r.Cache {
		r.Cache[i].Bytes = int64(r.Cache[i].Rank+rotary) * each
	}
}

// listCaches lists the cache at some ranks and the energy these keep.
func (r *Inspection) listCaches(m *family.Model, choices *plan.Choices) {
	for eighths := 1; eighths <= 8; eighths++ {
		rank := choices.NearRank(r.Sizes, eighths*m.KVHeads*m.HeadDim/8)
		if rank == 0 || len(r.Cache) > 0 && r.Cache[len(r.Cache)-1].Rank == rank {
			continue
		}
		c := Cache{Rank: rank, DKV: float64(rank) / float64(m.KVHeads), Floats: rank + r.Rotary}
		c.Saving = 1 - float64(c.Floats)/float64(m.CacheFloats())
		for _, l := range r.Layers {
			for _, v := range l.Spectrum[:min(rank, len(l.Spectrum))] {
				c.Energy += v / float64(len(r.Layers))
			}
		}
		r.Cache = append(r.Cache, c)
	}
}
