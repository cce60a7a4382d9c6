package cli

import (
	"fmt"

	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// reportFamily says what of the source's family could not be kept exactly, and by
// how much it is off.
func reportFamily(u *ui, p *plan.Plan, r *convert.Result, calibrated bool) {
	bias, biasLayer := worstLayer(r, func(l convert.LayerResult) float64 { return l.BiasError })
	switch {
	case bias == 0:
	case calibrated:
		u.warn(fmt.Sprintf("biases are folded into the weights: what stands for their constant is off by %.0f %% in layer %d, the worst (root mean square)", 100*bias, biasLayer))
		u.hint("--bias hf keeps them exactly, for Transformers alone")
	default:
		u.warn("the biases of queries, values and rotary keys are dropped: without data nothing is known that could stand for their constant")
		u.hint("--calibrate FILE folds them into the weights; --bias hf keeps them exactly, for Transformers alone")
	}
	norm, normLayer := worstLayer(r, func(l convert.LayerResult) float64 { return l.NormError })
	switch {
	case norm > 0:
		u.warn(fmt.Sprintf("the norms on queries and keys are constants of each head now: these are off by %.0f %% in layer %d, the worst (root mean square)", 100*norm, normLayer))
	case p.Source.HeadNorms:
		u.warn("the norms on queries and keys are constants of each head now, as expected without data; how far off is not measured")
		u.hint("--calibrate FILE measures the constants")
	}
	if s := p.Source.Rope; s != nil && p.Target.MLA != nil {
		u.note("RoPE scaling of type %s is approximated: slots turn at the frequencies of rope_theta %.9g", s.Kind, p.Target.RopeTheta)
	}
}

// worstLayer returns the largest error of a layer, and which has it.
func worstLayer(r *convert.Result, of func(convert.LayerResult) float64) (worst float64, layer int) {
	for _, l := range r.Layers {
		if e := of(l); e > worst {
			worst, layer = e, l.Layer
		}
	}
	return worst, layer
}
