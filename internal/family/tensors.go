package family

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/option"
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
	QBias     = "self_attn.q_proj.bias"
	KBias     = "self_attn.k_proj.bias"
	VBias     = "self_attn.v_proj.bias"
	OBias     = "self_attn.o_proj.bias"
	QABias    = "self_attn.q_a_proj.bias"
	KVABias   = "self_attn.kv_a_proj_with_mqa.bias"
	QNorm     = "self_attn.q_norm.weight"
	KNorm     = "self_attn.k_norm.weight"
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
	switch {
	case m.PerHead != nil:
		return m.PerHead.attentionTensors(m)
	case m.MLA != nil:
		return m.latentTensors()
	}
	d, H, G, D := int64(m.Hidden), int64(m.Heads), int64(m.KVHeads), int64(m.HeadDim)
	tensors := []TensorShape{
		{InputNorm, []int64{d}},
		{QProj, []int64{H * D, d}},
		{KProj, []int64{G * D, d}},
		{VProj, []int64{G * D, d}},
		{OProj, []int64{d, H * D}},
	}
	if m.Biases {
		tensors = append(tensors, TensorShape{QBias, []int64{H * D}}, TensorShape{KBias, []int64{G * D}}, TensorShape{VBias, []int64{G * D}})
	}
	if m.OutputBias {
		tensors = append(tensors, TensorShape{OBias, []int64{d}})
	}
	if m.HeadNorms {
		tensors = append(tensors, TensorShape{QNorm, []int64{D}}, TensorShape{KNorm, []int64{D}})
	}
	return tensors
}

// latentTensors are those of a layer with latent attention.
func (m *Model) latentTensors() []TensorShape {
	d, H, D := int64(m.Hidden), int64(m.Heads), int64(m.HeadDim)
	r, dr, dv, q := int64(m.MLA.KVLoraRank), int64(m.MLA.RopeDim), int64(m.MLA.ValueDim), int64(m.MLA.QLoraRank)
	tensors := []TensorShape{
		{InputNorm, []int64{d}},
		{KVAProj, []int64{r + dr, d}},
		{KVANorm, []int64{r}},
		{KVBProj, []int64{H * (int64(m.MLA.NopeDim) + dv), r}},
		{OProj, []int64{d, H * dv}},
	}
	if m.Biases {
		tensors = append(tensors, TensorShape{KVABias, []int64{r + dr}}, TensorShape{OBias, []int64{d}})
		if q > 0 {
			tensors = append(tensors, TensorShape{QABias, []int64{q}})
		}
	}
	if q == 0 {
		return append(tensors, TensorShape{QProj, []int64{H * D, d}})
	}
	return append(tensors, TensorShape{QAProj, []int64{q, d}}, TensorShape{QANorm, []int64{q}}, TensorShape{QBProj, []int64{H * D, q}})
}

// parts yields the weights the model cannot do without, by the prefix of their
// names: those outside the layers, then those of each layer.
func (m *Model) parts(yield func(prefix string, weights []TensorShape) bool) {
	d, f, v := int64(m.Hidden), int64(m.Intermediate), int64(m.Vocab)
	if !yield("", []TensorShape{{Embedding, []int64{v, d}}, {FinalNorm, []int64{d}}, {Head, []int64{v, d}}}) {
		return
	}
	layer := append(m.AttentionTensors(),
		TensorShape{MLPNorm, []int64{d}},
		TensorShape{GateProj, []int64{f, d}},
		TensorShape{UpProj, []int64{f, d}},
		TensorShape{DownProj, []int64{d, f}})
	for n := range m.Layers {
		if !yield(InLayer(n, ""), layer) {
			return
		}
	}
}

// bind finds the tensors of the checkpoint that hold the weights of the model.
func (m *Model) bind() error {
	if m.Layers > len(m.Source.Tensors()) {
		return m.contradiction("the configuration has %d layers and the checkpoint %d tensors", m.Layers, len(m.Source.Tensors()))
	}
	m.weights = make(map[string]*Weight)
	used := make(map[*checkpoint.Tensor]int64) // rows
	var found []*Weight
	var missing error
	for prefix, weights := range m.parts {
		for _, want := range weights {
			w, err := m.view(prefix, want)
			if err != nil {
				missing = cmp.Or(missing, m.contradiction("%v", err))
				continue
			}
			found, m.weights[w.Name] = append(found, w), w
			if want.Name == Head && m.TiedHead {
				continue // counted as the embedding
			}
			for _, r := range w.rows {
				used[w.stored] += r.n
			}
		}
		if prefix != "" && missing != nil {
			break // a configuration may claim any number of layers
		}
	}
	if len(found) == 0 {
		return &checkpoint.NoModelError{Path: m.Source.Path, What: fmt.Sprintf("it holds no %s: none of its tensors is there", m.Architecture), Tip: option.Plain(m.wrapped())}
	}
	for _, w := range found {
		if err := m.fits(w, used[w.stored]); err != nil {
			return err
		}
	}
	if missing != nil {
		return missing
	}
	for _, t := range m.Source.Tensors() {
		if _, known := used[t]; known || m.Dropped(t.Name) {
			continue
		}
		if err := m.stranger(t.Name); err != nil {
			return err
		}
		m.others = append(m.others, t)
	}
	return nil
}

// wrapped says with what the names of tensors begin that should begin with model, as
// wrappers of trainers leave them; empty if that is not what is wrong.
func (m *Model) wrapped() string {
	const inside = "layers.0."
	for _, t := range m.Source.Tensors() {
		if prefix, _, found := strings.Cut(t.Name, inside); found && prefix != "model." {
			return fmt.Sprintf("its names begin with %q where %q should be: rename them, or save the model without what wraps it", prefix, "model.")
		}
	}
	return ""
}

// fits is an error if the tensor that holds w cannot be made of so many rows.
func (m *Model) fits(w *Weight, rows int64) error {
	want := append([]int64{rows}, w.Shape[1:]...)
	switch t := w.stored; {
	case !slices.Equal(t.Shape, want):
		return m.contradiction("tensor %q has shape %v and the configuration says %v", t.Name, t.Shape, want)
	case !t.DType.Float():
		return &UnsupportedError{fmt.Sprintf("tensor %q has dtype %s: the model is quantised", t.Name, t.DType), "convert the unquantised model"}
	}
	return nil
}

// stranger is an error if a tensor that holds no weight of the model would change
// what it computes.
func (m *Model) stranger(name string) error {
	switch {
	case strings.HasSuffix(name, ".bias"):
		return &UnsupportedError{fmt.Sprintf("tensor %q: a %s has no such biases, by its configuration", name, m.Architecture), "see that config.json belongs to these weights"}
	case strings.HasPrefix(name, "model.layers."):
		return &UnsupportedError{fmt.Sprintf("tensor %q is not part of a %s of %d layers", name, m.Architecture, m.Layers), "see that config.json belongs to these weights"}
	default:
		return nil // carried along
	}
}

// Others returns the tensors of the checkpoint that hold no weight of the model
// and change nothing: what is carried along as it is.
func (m *Model) Others() []*checkpoint.Tensor { return m.others }

// Dropped reports whether a tensor has no place in a converted checkpoint: the
// frequencies that old files carry, and tables made of them, and a head that the configuration ties to
// the embedding.
func (m *Model) Dropped(name string) bool {
	head := Head
	if other := m.stored[Head].name; other != "" {
		head = other
	}
	for _, buffer := range []string{"inv_freq", "cos_cached", "sin_cached"} {
		if strings.HasSuffix(name, ".rotary_emb."+buffer) {
			return true
		}
	}
	return m.TiedHead && name == head
}

func (m *Model) contradiction(format string, args ...any) error {
	return &checkpoint.FormatError{Path: m.Source.Path, What: fmt.Sprintf(format, args...), Tip: "see that config.json belongs to these weights"}
}
