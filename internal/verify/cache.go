package verify

import (
	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/quant"
)

// Cache compares the KV caches.
type Cache struct {
	SourceFloats    int     `json:"source_floats_per_token_per_layer"`
	ConvertedFloats int     `json:"converted_floats_per_token_per_layer"`
	SourceBytes     int64   `json:"source_bytes_per_token"`
	ConvertedBytes  int64   `json:"converted_bytes_per_token"`
	Saving          float64 `json:"saving"` // share of the source's bytes that is saved

	Ranks     *family.RankCache `json:"per_rank,omitempty"`  // nil unless somebody asks for ranks
	Quantised *QuantisedCache   `json:"quantised,omitempty"` // nil if the cache is not quantised
}

// QuantisedCache describes the converted cache, quantised to a few bits a number.
type QuantisedCache struct {
	Bits   int     `json:"bits"`                  // of a number
	Size   float64 `json:"bytes_per_token"`       // with the scales and zero points of its groups
	Saving float64 `json:"saving"`                // share of the source's bytes that is saved
	Codes  float64 `json:"saving_without_scales"` // the same as the MHA2MLA paper counts it
}

// NewCache compares the caches of two models.
func NewCache(source, converted *family.Model) Cache {
	k := Cache{
		SourceFloats: source.CacheFloats(), ConvertedFloats: converted.CacheFloats(),
		SourceBytes: source.CacheBytes(), ConvertedBytes: converted.CacheBytes(),
	}
	k.Saving = 1 - float64(k.ConvertedBytes)/float64(k.SourceBytes)
	return k
}

// CacheBits makes Compare quantise the cache of the converted model to that many bits a
// number. The cache of the source stays as it is.
func CacheBits(bits int) Option {
	scheme := quant.Scheme{Bits: bits, Group: quant.DefaultGroup}
	return func(c *comparison) {
		c.scheme = &scheme
		c.converted.Cached = func(vectors f32.Matrix) {
			for t := range vectors.Rows {
				scheme.Round(vectors.Data[t*vectors.Stride : t*vectors.Stride+vectors.Cols])
			}
		}
	}
}

// quantised describes a cache, of vectors of the given lengths per token and layer, under a
// scheme, beside a source's cache of sourceBytes per token.
func quantised(s quant.Scheme, vectors []int, layers int, sourceBytes int64) *QuantisedCache {
	codes, stored := 0, 0
	for _, n := range vectors {
		codes += s.CodeBits(n) * layers
		stored += s.StoredBits(n) * layers
	}
	saving := func(bits int) float64 { return 1 - float64(bits)/float64(8*sourceBytes) }
	return &QuantisedCache{Bits: s.Bits, Size: float64(stored) / 8, Saving: saving(stored), Codes: saving(codes)}
}

// cachedVectors lists the lengths of the vectors that a layer caches per token:
// those that forward.Decoder.Cached sees.
func cachedVectors(m *family.Model) []int {
	if m.MLA != nil {
		return []int{m.MLA.KVLoraRank, m.MLA.RopeDim}
	}
	vectors := make([]int, 2*m.KVHeads)
	for i := range vectors {
		vectors[i] = m.HeadDim
	}
	return vectors
}
