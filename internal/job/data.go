package job

import (
	"cmp"

	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// UsualMix is the share of text of the model's own in statistics of a text of the user's.
const UsualMix = 0.5

// share is the part that text of the model's own has in the statistics of a conversion: all
// where nobody gives any, and none where no statistics are asked for, or a published method
// that knows nothing of such text.
func (c Conversion) share() (float64, error) {
	given, mix := len(c.Stats) > 0 || c.named(), UsualMix
	if c.Mix != nil {
		mix = *c.Mix
	}
	switch {
	case c.None && (len(c.Stats) > 0 || c.Mix != nil && mix > 0):
		return 0, plan.Misuse("%v is for conversions without data", option.Calibrate.Is("none")).
			Try("leave it out, or %v and %v", option.Stats, option.CalibrateMix)
	case c.None:
		return 0, nil
	case given && c.Mix != nil:
		return mix, nil
	case cmp.Or(c.Method, mla.MethodAttention) != mla.MethodAttention, cmp.Or(c.Weights, mla.WeightsCalibrated) != mla.WeightsCalibrated:
		return 0, nil
	case !given:
		return 1, nil
	case c.named():
		return mix, nil
	}
	return 0, nil
}

// foreseen is what a conversion will have to go by, with the given share of text of the
// model's own.
func (c Conversion) foreseen(share float64) plan.Data {
	d := plan.Data{Statistics: plan.Absent, Tokens: share > 0 || c.named()}
	if d.Tokens || len(c.Stats) > 0 {
		d.Statistics = plan.Present
	}
	return d
}
