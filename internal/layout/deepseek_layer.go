package layout

import (
	"github.com/mha2mla/mha2mla/internal/latent"
	"github.com/mha2mla/mha2mla/internal/mla"
)

// Convert converts a layer. Errors are those of mla.Attention.Convert.
func (d *Deepseek) Convert(a *mla.Attention) (Converted, error) {
	l, err := a.Convert(d.maths)
	return &deepseekLayer{d, l}, err
}

// deepseekLayer is a layer in this layout.
type deepseekLayer struct {
	layout *Deepseek
	layer  *mla.Layer
}

// Summary says how much of the layer was kept.
func (l *deepseekLayer) Summary() Summary {
	return Summary{
		Energy: l.layer.Energy, KeyWeight: l.layer.KeyWeight, BiasError: l.layer.BiasError, NormError: l.layer.NormError,
		Slots: l.layer.Key.Serves, Fallback: l.layer.Fallback,
	}
}

// Weights returns the layer's weights, to be healed, with the norm on the latent unless
// that is linear.
func (l *deepseekLayer) Weights() (*latent.Weights, error) {
	w, err := l.layer.Weights()
	if err == nil && l.layout.LatentNorm == NormRMS {
		w.NormEps = l.layout.LatentEps * float64(l.layout.KVLoraRank) / float64(l.layout.Rank) // the mean is over the zeros of padding, too
		w.Norm = constant(1, l.layout.Rank)
	}
	return w, err
}

// Replace puts healed weights in the place of the layer's.
func (l *deepseekLayer) Replace(w *latent.Weights) error { return l.layer.Replace(w) }

// Write writes the tensors of the layer.
func (l *deepseekLayer) Write(open func(name string) Sink) error {
	w := deepseekWriter{Deepseek: l.layout, layer: l.layer, shape: l.layer.Source.Shape(), open: open}
	for _, step := range []func() error{w.norms, w.query, w.down, w.up, w.output, w.biases} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
