package family

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// Names of tensors that are not part of a layer.
const (
	Embedding = "model.embed_tokens.weight"
	FinalNorm = "model.norm.weight"
	Head      = "lm_head.weight"
)

// Names of a layer's tensors, after its prefix.
const (
	InputNorm = "input_layernorm.weight"
	MLPNorm   = "post_attention_layernorm.weight"
	QProj     = "self_attn.q_proj.weight"
	KProj     = "self_attn.k_proj.weight"
	VProj     = "self_attn.v_proj.weight"
	OProj     = "self_attn.o_proj.weight"
	QAProj    = "self_attn.q_a_proj.weight"
	QANorm    = "self_attn.q_a_layernorm.weight"
	QBProj    = "self_attn.q_b_proj.weight"
	KVAProj   = "self_attn.kv_a_proj_with_mqa.weight"
	KVANorm   = "self_attn.kv_a_layernorm.weight"
	KVBProj   = "self_attn.kv_b_proj.weight"
	GateProj  = "mlp.gate_proj.weight"
	UpProj    = "mlp.up_proj.weight"
	DownProj  = "mlp.down_proj.weight"
)

// InLayer returns the full name of a tensor of layer n.
func InLayer(n int, name string) string { return fmt.Sprintf("model.layers.%d.%s", n, name) }

// TensorShape is a tensor that a model cannot do without.
type TensorShape struct {
	Name  string
	Shape []int64
}

// AttentionTensors returns the names and shapes of the tensors that make up the
// attention of a layer, its input norm included. The names have no prefix.
func (m *Model) AttentionTensors() []TensorShape {
	d, H, G, D := int64(m.Hidden), int64(m.Heads), int64(m.KVHeads), int64(m.HeadDim)
	switch {
	case m.PerHead != nil:
		return m.PerHead.attentionTensors(m)
	case m.MLA == nil:
		return []TensorShape{
			{InputNorm, []int64{d}},
			{QProj, []int64{H * D, d}},
			{KProj, []int64{G * D, d}},
			{VProj, []int64{G * D, d}},
			{OProj, []int64{d, H * D}},
		}
	}
	r, dr, dv, q := int64(m.MLA.KVLoraRank), int64(m.MLA.RopeDim), int64(m.MLA.ValueDim), int64(m.MLA.QLoraRank)
	tensors := []TensorShape{
		{InputNorm, []int64{d}},
		{KVAProj, []int64{r + dr, d}},
		{KVANorm, []int64{r}},
		{KVBProj, []int64{H * (int64(m.MLA.NopeDim) + dv), r}},
		{OProj, []int64{d, H * dv}},
	}
	if q == 0 {
		return append(tensors, TensorShape{QProj, []int64{H * D, d}})
	}
	return append(tensors, TensorShape{QAProj, []int64{q, d}}, TensorShape{QANorm, []int64{q}}, TensorShape{QBProj, []int64{H * D, q}})
}

// parts yields every tensor the model cannot do without: those outside the layers,
// then those of each layer.
func (m *Model) parts(yield func([]TensorShape) bool) {
	d, f, v := int64(m.Hidden), int64(m.Intermediate), int64(m.Vocab)
	outside := []TensorShape{{Embedding, []int64{v, d}}, {FinalNorm, []int64{d}}}
	if !m.TiedHead {
		outside = append(outside, TensorShape{Head, []int64{v, d}})
	}
	if !yield(outside) {
		return
	}
	layer := append(m.AttentionTensors(),
		TensorShape{MLPNorm, []int64{d}},
		TensorShape{GateProj, []int64{f, d}},
		TensorShape{UpProj, []int64{f, d}},
		TensorShape{DownProj, []int64{d, f}})
	for n := range m.Layers {
		named := slices.Clone(layer)
		for i, t := range layer {
			named[i].Name = InLayer(n, t.Name)
		}
		if !yield(named) {
			return
		}
	}
}

// bind makes sure that the tensors of the checkpoint are those of the model.
func (m *Model) bind() error {
	if m.Layers > len(m.Source.Tensors()) {
		return m.contradiction("the configuration has %d layers and the checkpoint %d tensors", m.Layers, len(m.Source.Tensors()))
	}
	known := make(map[string]bool)
	var missing, wrong error
	layer := -1 // of the part looked at; the first is of no layer
	for part := range m.parts {
		for _, want := range part {
			t := m.Source.Lookup(want.Name)
			switch {
			case t == nil && missing == nil:
				missing = m.contradiction("tensor %q is missing", want.Name)
			case t != nil:
				known[want.Name] = true
				if wrong == nil {
					wrong = m.mismatch(t, want)
				}
			}
		}
		if layer >= 0 && missing != nil {
			break // a configuration may claim any number of layers
		}
		layer++
	}
	switch {
	case len(known) == 0:
		return &checkpoint.NoModelError{Path: m.Source.Path, What: fmt.Sprintf("it holds no %s: none of its tensors is there", m.Architecture), Tip: ""}
	case wrong != nil:
		return wrong
	case missing != nil:
		return missing
	}
	for _, t := range m.Source.Tensors() {
		if err := m.stranger(t.Name, known); err != nil {
			return err
		}
	}
	return nil
}

// mismatch is an error if t is not what is wanted.
func (m *Model) mismatch(t *checkpoint.Tensor, want TensorShape) error {
	switch {
	case !slices.Equal(t.Shape, want.Shape):
		return m.contradiction("tensor %q has shape %v and the configuration says %v", want.Name, t.Shape, want.Shape)
	case !t.DType.Float():
		return &UnsupportedError{fmt.Sprintf("tensor %q has dtype %s: the model is quantised", want.Name, t.DType), "convert the unquantised model"}
	default:
		return nil
	}
}

// stranger is an error if a tensor would change what the model computes and the
// description does not know it.
func (m *Model) stranger(name string, known map[string]bool) error {
	switch {
	case known[name], m.Dropped(name):
		return nil
	case strings.HasSuffix(name, ".bias"):
		return &UnsupportedError{fmt.Sprintf("tensor %q: biases are not supported", name), ""}
	case strings.HasPrefix(name, "model.layers."):
		return &UnsupportedError{fmt.Sprintf("tensor %q is not part of a %s of %d layers", name, m.Architecture, m.Layers), "see that config.json belongs to these weights"}
	default:
		return nil // carried along
	}
}

// Dropped reports whether a tensor has no place in a converted checkpoint: the
// frequencies that old files carry, and a head that the configuration ties to
// the embedding.
func (m *Model) Dropped(name string) bool {
	return strings.HasSuffix(name, ".rotary_emb.inv_freq") || m.TiedHead && name == Head
}

func (m *Model) contradiction(format string, args ...any) error {
	return &checkpoint.FormatError{Path: m.Source.Path, What: fmt.Sprintf(format, args...), Tip: "see that config.json belongs to these weights"}
}
