package layout

import (
	"strconv"

	"github.com/mha2mla/mha2mla/internal/family"
)

// About describes the layout for the model card.
func (d *Deepseek) About() string {
	return "multi-head latent attention, as a dense DeepSeek-V3\nthat stock engines load"
}

// Target describes the model that is written. While the base of the rotary key is not known
// yet, it has that of the source.
func (d *Deepseek) Target(source *family.Model) *family.Model {
	t := *source
	t.Architecture, _ = source.Deepseek()
	if e := source.MoE; e != nil && d.zeros {
		written := *e
		written.Shared = e.Width
		t.MoE = &written
	}
	t.KVHeads = source.Heads
	t.HeadDim = d.NopeDim + d.RopeDim
	t.NormEps, t.TiedHead = d.NormEps, d.tied
	if d.maths.RopeTheta > 0 {
		t.RopeTheta = d.WrittenTheta(d.maths.RopeTheta)
	}
	t.MLA, t.Config, t.Source = &d.MLA, nil, nil
	t.Rope, t.Window, t.Biases, t.OutputBias = d.maths.RopeScaling, family.Window{}, d.biased, false
	t.HeadNorms, t.WideNorms, t.RotaryDims, t.Still = false, false, 0, nil
	return &t
}

// TypedAs names the tensor of the source whose type each tensor takes. All are computed.
func (d *Deepseek) TypedAs(name string) (string, bool) {
	switch name {
	case family.InputNorm, family.KVANorm, family.QANorm:
		return family.InputNorm, true
	case family.KVAProj, family.KVBProj, family.KVABias:
		return family.KProj, true
	case family.OProj, family.OBias:
		return family.OProj, true
	default:
		return family.QProj, true
	}
}

// ResidualScale returns R, the factor of the residual stream with which norms of the written
// ε compute what the source's did (design §6).
func (d *Deepseek) ResidualScale() float64 { return d.Residual }

// OwnHead returns true unless the one engine that the model is for ties the head to the
// embedding. vLLM never does.
func (d *Deepseek) OwnHead() bool { return !d.tied }

// Facts lists the sizes.
func (d *Deepseek) Facts(source, target *family.Model) []Fact {
	theta := Fact{"rope_theta", "", "searched for"}
	if d.maths.RopeTheta > 0 {
		theta = Fact{"rope_theta", number(source.RopeTheta, 9), number(target.RopeTheta, 9)}
		if d.maths.RopeScaling != nil {
			theta.After += " with yarn"
		}
	}
	return []Fact{
		{"kv_lora_rank", "", strconv.Itoa(d.KVLoraRank)},
		{"qk_rope_head_dim", "", strconv.Itoa(d.RopeDim)},
		theta,
	}
}

// number writes a number with at most that many significant digits.
func number(v float64, digits int) string { return strconv.FormatFloat(v, 'g', digits, 64) }
