package family

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/mha2mla/mha2mla/internal/rope"
)

// ropeMembers are those of rope_scaling and of its newer form rope_parameters.
type ropeMembers struct {
	Kind      string          `json:"rope_type"`
	OldKind   string          `json:"type"`
	Theta     json.RawMessage `json:"rope_theta"`
	Factor    float64         `json:"factor"`
	Original  float64         `json:"original_max_position_embeddings"`
	LowFreq   float64         `json:"low_freq_factor"`
	HighFreq  float64         `json:"high_freq_factor"`
	BetaFast  float64         `json:"beta_fast"`
	BetaSlow  float64         `json:"beta_slow"`
	Attention float64         `json:"attention_factor"`
	MScale    float64         `json:"mscale"`
	MScaleAll float64         `json:"mscale_all_dim"`
	Partial   float64         `json:"partial_rotary_factor"`
}

// ropeParameters reads rope_scaling or rope_parameters, of which the latter also
// holds rope_theta.
func (f *fields) ropeParameters() (*ropeMembers, error) {
	for _, key := range []string{"rope_scaling", "rope_parameters"} {
		var members ropeMembers
		ok, err := f.decode(key, "an object that describes RoPE", &members)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if members.Theta != nil && !f.Has("rope_theta") {
			f.Set("rope_theta", members.Theta)
		}
		if members.Partial != 0 && members.Partial != 1 {
			f.Set("partial_rotary_factor", members.Partial)
		}
		if members.Kind = cmp.Or(members.Kind, members.OldKind, "default"); members.Kind != "default" {
			return &members, nil
		}
	}
	return nil, nil
}

// scaleRope gives the model the frequencies that the members, which may be nil,
// ask for.
func (f *fields) scaleRope(m *Model, p *ropeMembers) error {
	if p == nil {
		return nil
	}
	s := rope.Scaling{Kind: p.Kind, Factor: p.Factor, Original: cmp.Or(p.Original, float64(m.MaxPositions))}
	switch p.Kind {
	case "linear":
		s.Original = 0
	case "llama3":
		s.Low, s.High = p.LowFreq, p.HighFreq
		f.check(0 < s.Low && s.Low < s.High, "rope_scaling: low_freq_factor is %v and high_freq_factor %v, and must be positive and ascending", s.Low, s.High)
	case "yarn":
		f.yarn(m, p)
		m.Rope.Attention = p.yarnAttention()
		m.scaleScores(m.Rope.Attention * m.Rope.Attention)
		return nil
	case "dynamic": // changes nothing up to max_position_embeddings
		return nil
	default:
		return &UnsupportedError{fmt.Sprintf("RoPE scaling of type %q is not supported: no engine's DeepSeek-V3 turns so", p.Kind), "use the model of the shorter context, which has none; linear, llama3 and yarn are approximated"}
	}
	f.setScaling(m, s)
	return nil
}

// setScaling gives the model checked scaling.
func (f *fields) setScaling(m *Model, s rope.Scaling) {
	f.check(s.Factor >= 1 && s.Original >= 0, "rope_scaling: factor is %v and must be at least 1", s.Factor)
	m.Rope = &s
}

// yarn gives the model the frequencies of yarn.
func (f *fields) yarn(m *Model, p *ropeMembers) {
	s := rope.Scaling{
		Kind: "yarn", Factor: p.Factor, Original: cmp.Or(p.Original, float64(m.MaxPositions)),
		Low: cmp.Or(p.BetaSlow, 1), High: cmp.Or(p.BetaFast, 32),
	}
	f.check(0 < s.Low && s.Low < s.High, "rope_scaling: beta_slow is %v and beta_fast %v, and must be positive and ascending", s.Low, s.High)
	f.setScaling(m, s)
}

// yarnAttention is the factor of queries and keys under yarn.
func (p *ropeMembers) yarnAttention() float64 {
	switch {
	case p.Attention != 0:
		return p.Attention
	case p.MScale != 0 && p.MScaleAll != 0:
		return p.mscale(p.MScale) / p.mscale(p.MScaleAll)
	default:
		return p.mscale(1)
	}
}

// mscale is rope.MScale of the factor at a weight.
func (p *ropeMembers) mscale(weight float64) float64 { return rope.MScale(p.Factor, weight) }

// scaleScores says that the stock class multiplies the scores of attention.
func (m *Model) scaleScores(factor float64) {
	m.multiply(QProj, factor)
	m.multiply(QBias, factor)
}
