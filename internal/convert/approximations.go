package convert

import (
	"fmt"

	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/sample"
)

// Approximation is something of the source's family that could not be kept
// exactly, beside what the sizes cost.
type Approximation struct {
	What string      // in words, with the error that was measured
	Do   option.Text // to be more exact; may be empty
}

// Approximations lists what a conversion that was carried out as p says, with
// statistics or without, has approximated.
func (r *Result) Approximations(p *plan.Plan, calibrated bool) []Approximation {
	var all []Approximation
	text, exactly := option.Calibrate.Is("FILE"), option.Bias.Is(mla.BiasHF)
	add := func(do option.Text, format string, args ...any) {
		all = append(all, Approximation{fmt.Sprintf(format, args...), do})
	}
	bias, layer := r.worst(func(l LayerResult) float64 { return l.BiasError })
	switch {
	case bias == 0:
	case calibrated:
		add(option.Textf("%v keeps them exactly, for Transformers alone", exactly),
			"biases are folded into the weights: what stands for their constant is off by %.0f %% in layer %d, the worst (root mean square)", 100*bias, layer)
	default:
		add(option.Textf("%v folds them by what a text has; %v keeps them exactly, for Transformers alone", text, exactly),
			"biases are folded into the weights by %d tokens that the model made, for want of data: what stands for their constant is off by %.0f %% in layer %d, the worst (root mean square, on these tokens)", sample.ConstantTokens, 100*bias, layer)
	}
	norms, constants := "the norms on queries and keys are", "constants"
	if p.Maths.QueryNorm {
		norms, constants = "the norm on keys is", "a constant"
	}
	norm, layer := r.worst(func(l LayerResult) float64 { return l.NormError })
	switch {
	case norm > 0:
		add(option.Text{}, "%s linear now: off by %.0f %% in layer %d, the worst (root mean square)", norms, 100*norm, layer)
	case p.Source.HeadNorms:
		add(option.Textf("%v finds what is nearer", text), "%s %s of each head now, as expected without data; how far off is not measured", norms, constants)
	}
	if p.Target.MLA == nil {
		return all
	}
	if s := p.Source.Rope; s != nil {
		scaled := ""
		if y := p.Target.Rope; y != nil {
			scaled = fmt.Sprintf(", scaled by yarn of factor %.9g", y.Factor)
		}
		add(option.Text{}, "RoPE scaling of type %s is approximated: the rotary key turns at the frequencies of rope_theta %.9g%s", s.Kind, p.Target.RopeTheta, scaled)
	}
	if w := p.Source.Window.Positions; w > 0 {
		add(option.Text{}, "attention is no longer limited to the last %d positions", w)
	}
	return all
}

// worst returns the largest error of a layer, and which has it.
func (r *Result) worst(of func(LayerResult) float64) (worst float64, layer int) {
	for _, l := range r.Layers {
		if e := of(l); e > worst {
			worst, layer = e, l.Layer
		}
	}
	return worst, layer
}
