package plan

import (
	"math"
	"path/filepath"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
)

// llamaGain multiplies the residual stream of what llama.cpp runs. It computes with
// weights of F16 and Q8_0 on activations that it rounds to F16, or to eight bits
// with a scale in F16, and the input of a layer with a linear norm of the latent is
// small: at the ε of the source, Q8_0 loses five times what it loses of the source,
// from 16 on no more than that. More is left to the range of F16, which the
// largest activations of some models need.
const llamaGain = 16

// layout decides how the model is written at the given sizes.
func (c *Choices) layout(s Sizes, rankFile string) (layout.Layout, error) {
	switch c.form {
	case layout.FormReference:
		return layout.NewReference(c.model.Shape(), c.Maths(s), rankFile), nil
	case layout.FormGrouped:
		return layout.NewGrouped(c.model.Shape(), s.KVHeads), nil
	}
	d := layout.NewDeepseek(c.model.Shape(), c.Maths(s), c.norm, c.residual(), c.qLora)
	if c.bias == mla.BiasHF && c.model.Biases {
		d.KeepBiases(c.model.Shape())
	}
	if e := c.oneTarget(); e != "" {
		d.KeepEps(c.model.NormEps, e.LatentEps(c.model.NormEps))
		if e == engine.LlamaCPP && d.LatentNorm == layout.NormLinear {
			d.Amplify(llamaGain)
		}
	}
	if c.pad {
		if err := d.PadToKernel(); err != nil {
			return nil, Misuse("%v: %v", option.PadToKernel, err)
		}
		if s.Scaling != nil && d.RopeDim != s.RopeDims {
			return nil, Misuse("%v goes with %v at %v alone: padding would move its bounds", option.RopeScaling.Is(ScalingYarn), option.PadToKernel, option.RopeDims.Is(d.RopeDim)).Try("leave one of them out")
		}
	}
	return d, nil
}

// rankFile is the name of the file of rankings beside the output.
func rankFile(out string, whole bool) string {
	const name = "2_norm_rank.pth"
	if whole {
		return name
	}
	return strings.TrimSuffix(filepath.Base(out), ".safetensors") + "-" + name
}

// residual is the factor by which the residual stream is scaled so that an ε of
// 1e-6 means what the source's did (design §6). Types of 16 bits get a power of
// two, which keeps every mantissa.
func (c *Choices) residual() float64 {
	exact := math.Sqrt(layout.Eps / c.model.NormEps)
	names := []string{family.Embedding, family.InLayer(0, family.OProj), family.InLayer(0, family.DownProj)}
	for _, name := range names {
		if t := c.dtype.of(c.model.Weight(name).DType()); t == checkpoint.BF16 || t == checkpoint.F16 {
			return math.Exp2(math.Round(math.Log2(exact)))
		}
	}
	return exact
}
