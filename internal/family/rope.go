package family

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mha2mla/mha2mla/internal/rope"
)

// ropeMembers holds the members of rope_scaling and of its newer form rope_parameters.
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

// ropeKeys lists the members of a configuration that describe RoPE, the older form first.
var ropeKeys = []string{"rope_scaling", "rope_parameters"}

// ropeParameters reads rope_scaling and rope_parameters. The latter holds rope_theta as
// well, and may hold one such object for each type of layer. It is an error if two of
// them contradict each other. The result is nil if RoPE is not scaled.
func (f *fields) ropeParameters() (*ropeMembers, error) {
	var all []*ropeMembers
	for _, key := range ropeKeys {
		sets, err := f.ropeSets(key)
		if err != nil {
			return nil, err
		}
		all = append(all, sets...)
	}
	for _, p := range all {
		if err := f.ropeBase(p); err != nil {
			return nil, err
		}
		if p.scaling() != all[0].scaling() {
			return nil, fmt.Errorf("RoPE is scaled in two ways (%s and %s), and there can be one", all[0], p)
		}
	}
	if len(all) == 0 || all[0].Kind == "default" {
		return nil, nil
	}
	return all[0], nil
}

// ropeSets reads the objects that describe RoPE at a key: the value of the key, or one
// object within it for each type of layer.
func (f *fields) ropeSets(key string) ([]*ropeMembers, error) {
	const kind = "an object that describes RoPE"
	var members map[string]json.RawMessage
	if ok, err := f.decode(key, kind, &members); err != nil || !ok {
		return nil, err
	}
	nested, flat := []json.RawMessage{}, 0
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value := bytes.TrimSpace(members[name])
		switch {
		case bytes.HasPrefix(value, []byte("{")):
			nested = append(nested, value)
		case string(value) != "null":
			flat++
		}
	}
	if len(nested) > 0 && flat > 0 {
		return nil, fmt.Errorf("%q describes RoPE both for all layers and for some", key)
	}
	if len(nested) == 0 {
		nested = append(nested, f.text[key])
	}
	var sets []*ropeMembers
	for _, text := range nested {
		p := &ropeMembers{}
		if err := json.Unmarshal(text, p); err != nil {
			return nil, fmt.Errorf("%q is %s and must be %s", key, excerpt(text), kind)
		}
		if p.Kind != "" && p.OldKind != "" && p.Kind != p.OldKind {
			return nil, fmt.Errorf("%q has rope_type %q and type %q", key, p.Kind, p.OldKind)
		}
		p.Kind = cmp.Or(p.Kind, p.OldKind)
		if p.Kind == "" && p.Factor != 0 && p.Factor != 1 {
			return nil, fmt.Errorf("%q has a factor of %v and no rope_type to say what it does", key, p.Factor)
		}
		p.Kind = cmp.Or(p.Kind, "default")
		sets = append(sets, p)
	}
	return sets, nil
}

// ropeBase copies the base and the rotating part of a head from p into the configuration,
// where older configurations have them. It is an error if the configuration says
// otherwise.
func (f *fields) ropeBase(p *ropeMembers) error {
	if len(p.Theta) > 0 && string(p.Theta) != "null" {
		if err := f.agree("rope_theta", p.Theta); err != nil {
			return err
		}
	}
	if p.Partial != 0 {
		return f.agree("partial_rotary_factor", json.RawMessage(strconv.FormatFloat(p.Partial, 'g', -1, 64)))
	}
	return nil
}

// agree sets a number of the configuration. If the key has a number already, it returns
// an error unless that is the same.
func (f *fields) agree(key string, value json.RawMessage) error {
	if !f.Has(key) {
		f.Set(key, value)
		return nil
	}
	var there, here float64
	if json.Unmarshal(f.text[key], &there) != nil || json.Unmarshal(value, &here) != nil || there != here {
		return fmt.Errorf("%q is %s in one place and %s in another", key, excerpt(f.text[key]), excerpt(value))
	}
	return nil
}

// scaling returns a value that is equal for two objects if they scale RoPE alike. Where
// RoPE is not scaled, the other members do not count.
func (p *ropeMembers) scaling() any {
	q := *p
	q.Theta, q.OldKind, q.Partial = nil, "", 0
	if p.Kind == "default" {
		q = ropeMembers{Kind: p.Kind}
	}
	type comparable struct {
		kind    string
		numbers [9]float64
	}
	return comparable{q.Kind, [9]float64{q.Factor, q.Original, q.LowFreq, q.HighFreq, q.BetaFast, q.BetaSlow, q.Attention, q.MScale, q.MScaleAll}}
}

func (p *ropeMembers) String() string { return fmt.Sprintf("%s with factor %v", p.Kind, p.Factor) }

// unknownRope returns a note for each key of the configuration that seems to be about RoPE
// and is not known here, nor folded: a class that reads it would compute something else.
func (f *fields) unknownRope(folded []string) []string {
	known := append(slices.Clone(folded), []string{"rope_theta", "partial_rotary_factor", "original_max_position_embeddings", "rope_interleave", "rope_interleaved", PerHeadKey}...)
	known = append(known, ropeKeys...)
	var notes []string
	for _, key := range f.keys {
		about := strings.Contains(key, "rope") || strings.Contains(key, "rotary") || strings.Contains(key, "alibi")
		if about && f.Has(key) && string(f.text[key]) != "false" && !slices.Contains(known, key) && !strings.HasPrefix(key, "qk_rope") {
			notes = append(notes, fmt.Sprintf("the configuration has %q, which is not known here: if it changes RoPE, the result is wrong", key))
		}
	}
	return notes
}

// scaleRope gives the model the frequencies that its rope_scaling asks for; p is nil if
// it has none.
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

// setScaling gives the model the scaling s, after it has checked the numbers.
func (f *fields) setScaling(m *Model, s rope.Scaling) {
	f.check(s.Factor >= 1 && s.Original >= 0, "rope_scaling: factor is %v and must be at least 1", s.Factor)
	m.Rope = &s
}

// yarn gives the model the frequencies of yarn, with the defaults of Transformers for
// members that are not there.
func (f *fields) yarn(m *Model, p *ropeMembers) {
	s := rope.Scaling{
		Kind: "yarn", Factor: p.Factor, Original: cmp.Or(p.Original, float64(m.MaxPositions)),
		Low: cmp.Or(p.BetaSlow, 1), High: cmp.Or(p.BetaFast, 32),
	}
	f.check(0 < s.Low && s.Low < s.High, "rope_scaling: beta_slow is %v and beta_fast %v, and must be positive and ascending", s.Low, s.High)
	f.setScaling(m, s)
}

// yarnAttention returns the factor by which yarn multiplies queries and keys, as
// Transformers chooses it.
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

// mscale returns rope.MScale of the factor, with a weight such as mscale_all_dim.
func (p *ropeMembers) mscale(weight float64) float64 { return rope.MScale(p.Factor, weight) }

// scaleScores notes that the stock class multiplies the scores of attention by a factor.
// The queries take it, since scores are linear in them.
func (m *Model) scaleScores(factor float64) {
	m.multiply(QProj, factor)
	m.multiply(QBias, factor)
}
