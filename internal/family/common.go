package family

import (
	"cmp"
	"fmt"
)

// common reads the members that every family has. What m has already is what its class takes
// where the key is not there.
func (f *fields) common(m *Model) {
	m.Hidden = f.integer("hidden_size", 0)
	m.Intermediate = f.integer("intermediate_size", m.Intermediate)
	m.Layers = f.integer("num_hidden_layers", 0)
	m.Heads = f.integer("num_attention_heads", 0)
	m.KVHeads = f.integer("num_key_value_heads", m.Heads)
	m.Vocab = f.integer("vocab_size", 0)
	m.MaxPositions = f.integer("max_position_embeddings", cmp.Or(m.MaxPositions, 2048))
	m.NormEps = f.number("rms_norm_eps", cmp.Or(m.NormEps, 1e-6))
	m.RopeTheta = f.number("rope_theta", cmp.Or(m.RopeTheta, 10000))
	m.TiedHead = f.truth("tie_word_embeddings", m.TiedHead)
	f.check(m.RopeTheta > 1, "%q is %v and must be above 1", "rope_theta", m.RopeTheta)
	if m.KVHeads > 0 {
		f.check(m.Heads%m.KVHeads == 0, "%q is %d, which does not divide the %d attention heads", "num_key_value_heads", m.KVHeads, m.Heads)
	}
}

// allBiases reads whether all four projections of the attention add constants.
func (f *fields) allBiases(m *Model) {
	m.Biases = f.boolean("attention_bias")
	m.OutputBias = m.Biases
}

// grouped reads the members that every family with MHA, GQA or MQA has, and refuses those
// that change what the canonical decoder computes.
func (f *fields) grouped(m *Model) error {
	scaling, err := f.ropeParameters()
	if err != nil {
		return err
	}
	f.common(m)
	if m.Heads > 0 {
		m.HeadDim = f.integer("head_dim", cmp.Or(m.HeadDim, max(1, m.Hidden/m.Heads)))
	}
	f.check(m.HeadDim%2 == 0, "head_dim is %d and must be even: rotary dimensions come in pairs", m.HeadDim)
	if f.err != nil {
		return nil
	}
	if err := f.rotaryPart(m); err != nil || f.err != nil {
		return err
	}
	if f.boolean("rope_interleaved") {
		return &UnsupportedError{`"rope_interleaved" is true: the pairs of its weights are neighbours, which the class it names does not know`, "convert it to the class that it names first"}
	}
	const most = 1 << 20 // rows are listed one by one where heads are rearranged, so a false number would fill the memory
	f.check(m.part == 0 && !m.paired || m.Heads*m.HeadDim <= most, "%d heads of %d dimensions: more than 2^20 rows", m.Heads, m.HeadDim)
	if f.err != nil {
		return nil
	}
	if err := f.scaleRope(m, scaling); err != nil {
		return err
	}
	if f.boolean("mlp_bias") {
		return &UnsupportedError{`"mlp_bias" is true: the MLP of the target has no biases`, "choose a model without them"}
	}
	return nil
}

// standard reads the members of a family that differs little from Llama: those of grouped,
// and SiLU.
func (f *fields) standard(m *Model) error {
	if err := f.grouped(m); err != nil {
		return err
	}
	return f.silu()
}

// silu returns an error unless the MLP's nonlinearity is SiLU.
func (f *fields) silu() error {
	if act := f.word("hidden_act", "silu"); act != "silu" {
		return &UnsupportedError{fmt.Sprintf("hidden_act %q is not supported: the target architecture has silu alone", act), "choose a model with silu"}
	}
	return nil
}
