package plan

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
)

// Form is the form in which the model is written.
func (o *Options) Form() layout.Form {
	switch {
	case o.Method == mla.MethodGroupedMean:
		return layout.FormGrouped
	case o.Layout == "":
		return layout.FormDeepseek
	default:
		return o.Layout
	}
}

// llamaGain multiplies the residual stream of what llama.cpp runs. It computes with
// weights of F16 and Q8_0 on activations that it rounds to F16, or to eight bits
// with a scale in F16, and the input of a layer with a linear norm of the latent is
// small: at the ε of the source, Q8_0 loses five times what it loses of the source,
// from 16 on no more than that. More is left to the range of F16, which the
// largest activations of some models need.
const llamaGain = 16

// layout decides how m is written at the given sizes.
func (o *Options) layout(m *family.Model, s Sizes, rankFile string) (layout.Layout, error) {
	switch o.Form() {
	case layout.FormReference:
		return layout.NewReference(m.Shape(), o.Maths(s), rankFile), nil
	case layout.FormGrouped:
		return layout.NewGrouped(m.Shape(), s.KVHeads), nil
	}
	d := layout.NewDeepseek(m.Shape(), o.Maths(s), o.LatentNorm, o.residual(m), o.QLora)
	if o.Bias == mla.BiasHF && m.Biases {
		d.KeepBiases(m.Shape())
	}
	if e := o.oneTarget(); e != "" {
		d.KeepEps(m.NormEps, e.LatentEps(m.NormEps))
		if e == engine.LlamaCPP && d.LatentNorm == layout.NormLinear {
			d.Amplify(llamaGain)
		}
	}
	if o.PadToKernel {
		if err := d.PadToKernel(); err != nil {
			return nil, &UsageError{"--pad-to-kernel: " + err.Error(), ""}
		}
		if s.Scaling != nil && d.RopeDim != s.RopeDims {
			return nil, &UsageError{fmt.Sprintf("--rope-scaling yarn goes with --pad-to-kernel at --rope-dims %d alone: padding would move its bounds", d.RopeDim), "leave one of them out"}
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

// dtypeRule is the rule asked for. Only the deepseek layout has a reason to turn
// F16 into BF16.
func (o *Options) dtypeRule() DTypeRule {
	if o.DType == "" && o.Form() != layout.FormDeepseek {
		return keepAll
	}
	return o.DType
}

// residual is the factor by which the residual stream is scaled so that an ε of
// 1e-6 means what the source's did (design §6). Types of 16 bits get a power of
// two, which keeps every mantissa.
func (o *Options) residual(m *family.Model) float64 {
	exact := math.Sqrt(layout.Eps / m.NormEps)
	names := []string{family.Embedding, family.InLayer(0, family.OProj), family.InLayer(0, family.DownProj)}
	for _, name := range names {
		if t := o.DType.of(m.Weight(name).DType()); t == checkpoint.BF16 || t == checkpoint.F16 {
			return math.Exp2(math.Round(math.Log2(exact)))
		}
	}
	return exact
}
