package family

// RankCache compares the KV caches of two models on each of several ranks of tensor
// parallelism, in bytes per token over all layers. Its fields are JSON output.
type RankCache struct {
	Ranks     int     `json:"ranks"`
	Source    int64   `json:"source_bytes_per_token"`
	Converted int64   `json:"converted_bytes_per_token"`
	Saving    float64 `json:"saving"` // share of the source's bytes that is saved
}

// PerRank compares the caches of a source and of what it is converted to. A float of the
// latter's cache has that many bytes; if that is 0, it has the type of the weights that
// project to it, which must be there.
func PerRank(ranks int, source, converted *Model, floatBytes int64) *RankCache {
	if floatBytes == 0 {
		floatBytes = converted.floatBytes()
	}
	c := &RankCache{
		Ranks:     ranks,
		Source:    int64(source.RankFloats(ranks)) * int64(source.Layers) * source.floatBytes(),
		Converted: int64(converted.RankFloats(ranks)) * int64(converted.Layers) * floatBytes,
	}
	c.Saving = 1 - float64(c.Converted)/float64(c.Source)
	return c
}

// RankFloats returns how many floats per token and layer each of several ranks of tensor
// parallelism caches. Engines divide KV heads among the ranks, and each has one at least. A
// latent belongs to all heads, so that every rank has all of it (vllm 0.32.0:
// config/model.py, where latent attention has one KV head on each rank).
func (m *Model) RankFloats(ranks int) int {
	heads := (m.KVHeads + ranks - 1) / ranks
	switch {
	case m.MLA != nil:
		return m.CacheFloats()
	case m.PerHead != nil:
		return m.PerHead.cacheFloats(heads)
	}
	return 2 * heads * m.HeadDim
}
