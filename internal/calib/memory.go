package calib

import (
	"runtime"

	"github.com/mha2mla/mha2mla/internal/family"
)

// Memory estimates the bytes that Gather takes for m on windows of tokens: a layer,
// its sums, residual streams, and what goes through the layer.
func Memory(m *family.Model, windows [][]int) int64 {
	d, f, T := int64(m.Hidden), int64(m.Intermediate), int64(longest(windows))
	queries, keys := int64(m.Heads)*int64(m.HeadDim), int64(m.KVHeads)*int64(m.HeadDim)
	tokens := int64(0)
	for _, w := range windows {
		tokens += int64(len(w))
	}
	layer := 4 * d * (2*queries + 2*keys + 3*f)
	sums := 8 * 2 * d * d
	streams := min(inMemory, 4*d*tokens)
	seen := 8 * (windowsAtOnce + 1) * T * d
	through := 4 * T * (3*d + 2*queries + 2*keys + 2*f)
	return layer + sums + streams + seen + through*int64(min(windowsAtOnce, runtime.GOMAXPROCS(0)))
}
