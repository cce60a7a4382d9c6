package calib

import (
	"runtime"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/forward"
)

// Memory estimates the bytes that Gather takes for m on a text: for a layer, its sums, the
// residual streams, and the activations inside the layer.
func Memory(m *family.Model, t Text) int64 {
	windows, _ := t.run()
	d, f, T := int64(m.Hidden), int64(m.Inner()), int64(windows.Longest())
	queries, keys := int64(m.Heads)*int64(m.HeadDim), int64(m.KVHeads)*int64(m.HeadDim)
	layer := 4 * d * (2*queries + 2*keys + 3*f)
	sums := (8*2*int64(min(2, t.Chunks())) + 4) * d * d // of a chunk, and of those before it
	streams := min(forward.InMemory, 4*d*int64(windows.Tokens()))
	seen := windowsAtOnce * T * (4*d + 8*4*int64(m.Heads)) // inputs, and sums by head
	head := 4 * T * (2*f32.QueriesAtOnce + int64(m.HeadDim))
	mlp := 4 * forward.TokensAtOnce * (d + 2*f)
	through := 4*T*(4*d+2*queries+2*keys) + head + mlp
	if m.HeadNorms { // products with the inputs, and what is multiplied
		sums += 8 * (queries + 2*keys) * d
		seen += windowsAtOnce * T * 4 * (queries + keys)
	}
	return layer + sums + streams + seen + through*int64(min(windowsAtOnce, runtime.GOMAXPROCS(0)))
}
