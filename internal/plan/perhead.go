package plan

import (
	"fmt"

	"github.com/mha2mla/mha2mla/internal/family"
)

// latents is how many latents the mha2mla layout has.
func (o *Options) latents() int {
	if o.SVD == SVDSplit {
		return 2
	}
	return 1
}

// perHeadRank is the largest rank of the mha2mla layout beside dims rotary
// dimensions per KV head, of all latents together, within a cache of most floats.
// The reference counts the rank of a latent in floats per KV head, so that it is
// a multiple of their number.
func (o *Options) perHeadRank(m *family.Model, dims, most int) int {
	G, D, n := m.KVHeads, m.HeadDim, o.latents()
	rank := min(G*(2*D-dims), m.Hidden)
	if n == 2 {
		rank = min(G*(D-dims), m.Hidden)
	}
	return min(rank, max(0, most-G*dims)/n) / G * G * n
}

// perHeadSizes works out the sizes of the mha2mla layout.
func (o *Options) perHeadSizes(m *family.Model) (Sizes, error) {
	G, D := m.KVHeads, m.HeadDim
	s := Sizes{RopeDims: o.RopeDims, Theta: m.RopeTheta}
	switch most := D - 2*(o.latents()-1); { // split, there must be content keys to factor
	case o.RopeDims%2 != 0:
		return s, &UsageError{fmt.Sprintf("--rope-dims %d is odd: rotary dimensions come in pairs", o.RopeDims), ""}
	case o.RopeDims > most:
		return s, &UsageError{fmt.Sprintf("--rope-dims %d is above %d: in this layout it counts those of one KV head", o.RopeDims, most), ""}
	case D > 512:
		return s, &family.UnsupportedError{What: fmt.Sprintf("head_dim %d has more rotary pairs than a ranking of bytes can order", D), Tip: "use --layout deepseek"}
	}
	if o.Cache > 0 && o.RopeDims == 0 {
		if len(o.perHeadSplits(m)) == 0 {
			return s, &UsageError{fmt.Sprintf("--cache %d has no room for two rotary dimensions and a latent of %d KV heads", o.Cache, G), fmt.Sprintf("the least is %d", (2+o.latents())*G)}
		}
		return s, nil
	}
	if s.RopeDims == 0 {
		s.RopeDims = max(2, D/16*2)
	}
	return o.perHeadRanked(m, s)
}

// perHeadRanked adds the rank to sizes that lack nothing else.
func (o *Options) perHeadRanked(m *family.Model, s Sizes) (Sizes, error) {
	unit := o.latents() * m.KVHeads
	const huge = 1 << 40
	most := o.perHeadRank(m, s.RopeDims, huge)
	asked, flag := o.Rank, fmt.Sprintf("--kv-lora-rank %d", o.Rank)
	if o.DKV > 0 {
		asked, flag = min(o.DKV, huge)*m.KVHeads, fmt.Sprintf("--dkv %d", o.DKV)
	}
	switch {
	case o.Cache > 0:
		if s.Rank = o.perHeadRank(m, s.RopeDims, o.Cache); s.Rank == 0 {
			return s, &UsageError{fmt.Sprintf("--cache %d has no room for a latent beside --rope-dims %d of %d KV heads", o.Cache, s.RopeDims, m.KVHeads), "lower --rope-dims"}
		}
	case asked == 0:
		s.Rank = min(max(1, m.HeadDim/2/o.latents())*unit, most)
	case asked%unit != 0:
		return s, &UsageError{fmt.Sprintf("%s is a rank of %d, which is no multiple of %d: the layout counts floats per KV head and latent", flag, asked, unit),
			fmt.Sprintf("--kv-lora-rank %d is near", max(unit, asked/unit*unit))}
	case asked > most:
		return s, &UsageError{fmt.Sprintf("%s is a rank of %d, above %d, all there is beside the rotary keys", flag, asked, most), ""}
	default:
		s.Rank = asked
	}
	if s.Rank == 0 {
		return s, &family.UnsupportedError{What: fmt.Sprintf("hidden_size %d is below the number of KV heads, %d: no latent has a float for each", m.Hidden, m.KVHeads), Tip: "use --layout deepseek"}
	}
	return s, nil
}

// perHeadSplits returns the ways to divide --cache in the mha2mla layout.
func (o *Options) perHeadSplits(m *family.Model) []Sizes {
	var splits []Sizes
	for _, dims := range ropeGrid {
		if rank := o.perHeadRank(m, dims, o.Cache); dims <= m.HeadDim && rank > 0 {
			splits = append(splits, Sizes{Rank: rank, RopeDims: dims, Theta: m.RopeTheta})
		}
	}
	return splits
}

// groupedSizes works out to how many KV heads --method gqa-mean goes: the largest
// divisor of what there are whose cache is no larger than latent attention's
// would be.
func (o *Options) groupedSizes(m *family.Model) (Sizes, error) {
	if m.KVHeads == 1 {
		return Sizes{}, &family.UnsupportedError{What: fmt.Sprintf("%q has one KV head: there is nothing to pool", m.Source.Path), Tip: "choose another --method"}
	}
	each := 2 * m.HeadDim
	floats := o.Cache
	if floats == 0 {
		dims := o.RopeDims
		if dims == 0 {
			dims = max(2, m.HeadDim/4*2)
		}
		if floats = o.Rank; o.DKV > 0 {
			floats = o.DKV * m.KVHeads
		}
		if floats == 0 {
			floats = m.HeadDim / 2 * m.KVHeads
		}
		floats += dims
	}
	switch {
	case floats < each:
		return Sizes{}, &UsageError{fmt.Sprintf("a cache of %d floats has no room for one KV head of head_dim %d", floats, m.HeadDim), fmt.Sprintf("it takes --cache %d", each)}
	case floats >= m.CacheFloats():
		return Sizes{}, &UsageError{fmt.Sprintf("a cache of %d floats has room for all %d KV heads", floats, m.KVHeads), fmt.Sprintf("ask for less than --cache %d", m.CacheFloats())}
	}
	for n := floats / each; ; n-- {
		if m.KVHeads%n == 0 { // 1 divides everything
			return Sizes{KVHeads: n}, nil
		}
	}
}
