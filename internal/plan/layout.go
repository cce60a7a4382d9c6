package plan

import (
	"math"
	"path/filepath"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
)

// llamaGain is the factor that multiplies the residual stream of a model for llama.cpp
// (design §6). For weights of F16 and Q8_0, llama.cpp rounds activations to F16, or to eight
// bits with a scale in F16. The input of a layer with a linear norm of the latent is small,
// and so it is rounded coarsely: at the ε of the source, Q8_0 loses five times as much as it
// does of the source model. From a factor of 16 on it loses no more than that. The factor is
// no larger, because the largest activations of some models need the rest of F16's range.
const llamaGain = 16

// layout makes the layout in which the model is written at the sizes s. The rankFile is the
// name of the file of rankings, for the layout that has one.
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
	e := c.oneTarget()
	if moe := c.model.MoE; moe != nil && moe.Shared == 0 {
		d.Share(e)
	}
	if e != "" {
		d.KeepEps(c.model.NormEps, e.LatentEps(c.model.NormEps))
		if e.RunsGGUF() && d.LatentNorm == layout.NormLinear {
			d.Amplify(llamaGain)
			d.MarkGGUF()
			if c.tied() {
				d.TieHead()
			}
		}
	}
	return d, c.padded(d, s)
}

// tied reports whether the source computes logits with its embedding. Some families multiply
// the one and not the other.
func (c *Choices) tied() bool {
	return c.model.TiedHead && c.model.Weight(family.Head).Factor == c.model.Weight(family.Embedding).Factor
}

// rankFile returns the name of the file of rankings that lies beside the output.
func rankFile(out string, whole bool) string {
	const name = "2_norm_rank.pth"
	if whole {
		return name
	}
	return strings.TrimSuffix(filepath.Base(out), ".safetensors") + "-" + name
}

// residual returns the factor for the residual stream at which an ε of 1e-6 has the effect
// that the source's ε had (design §6). If a tensor that it multiplies is written in 16 bits,
// it is a power of two, which changes no mantissa.
func (c *Choices) residual() float64 {
	exact := math.Sqrt(layout.Eps / c.model.NormEps)
	names := []string{family.Embedding, family.InLayer(0, family.OProj)}
	for _, t := range c.model.MLPTensors(0) {
		if family.Returns(t.Name) {
			names = append(names, family.InLayer(0, t.Name))
		}
	}
	for _, name := range names {
		t := c.dtype.of(c.model.Weight(name).DType())
		if t == checkpoint.BF16 || t == checkpoint.F16 {
			return math.Exp2(math.Round(math.Log2(exact)))
		}
	}
	return exact
}
