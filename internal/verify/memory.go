package verify

import (
	"runtime"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// Memory estimates the bytes that Compare takes for two models on windows of tokens: for a
// layer of each, the residual streams of a batch, a part of both heads, and the activations
// inside the layers.
func Memory(source, converted *family.Model, windows tokens.Windows) int64 {
	d, T := int64(source.Hidden), int64(windows.Longest())
	streams := min(batchBytes, 2*4*d*int64(windows.Tokens()))
	heads := 2 * 4 * d * int64(min(vocabularyAtOnce, source.Vocab))
	through := 4*T*(6*d+4*int64(converted.Heads)*int64(converted.HeadDim)+f32.QueriesAtOnce) + 4*forward.TokensAtOnce*(d+2*int64(source.Inner()))
	return layerBytes(source) + layerBytes(converted) + streams + heads + through*int64(runtime.GOMAXPROCS(0))
}

// layerBytes returns the size of a layer in single precision.
func layerBytes(m *family.Model) int64 {
	sum := 3 * int64(m.Hidden) * int64(m.Inner())
	for _, t := range m.AttentionTensors() {
		sum += checkpoint.Spec{Shape: t.Shape}.Elements()
	}
	return 4 * sum
}
