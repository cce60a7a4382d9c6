package family

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/option"
)

// These are the names of the tensors that are not part of a layer.
const (
	Embedding = "model.embed_tokens.weight"
	FinalNorm = "model.norm.weight"
	Head      = "lm_head.weight"
)

// These are the names of a layer's tensors, after the prefix of the layer.
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

// layers begins the names of all tensors of layers.
const layers = "model.layers."

// InLayer returns the full name of a tensor of layer n.
func InLayer(n int, name string) string { return fmt.Sprintf("model.layers.%d.%s", n, name) }

// TensorShape names a tensor that a model needs, and the shape that it must have.
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
	switch {
	case m.WideNorms:
		tensors = append(tensors, TensorShape{QNorm, []int64{H * D}}, TensorShape{KNorm, []int64{G * D}})
	case m.HeadNorms:
		tensors = append(tensors, TensorShape{QNorm, []int64{D}}, TensorShape{KNorm, []int64{D}})
	}
	return tensors
}

// latentTensors lists the tensors of the attention of a layer with latent attention.
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

// parts yields the weights that the model needs, with the prefix of their names: first
// those outside the layers, then those of one layer after the other.
func (m *Model) parts(yield func(prefix string, weights []TensorShape) bool) {
	d, v := int64(m.Hidden), int64(m.Vocab)
	if !yield("", []TensorShape{{Embedding, []int64{v, d}}, {FinalNorm, []int64{d}}, {Head, []int64{v, d}}}) {
		return
	}
	attention := append(m.AttentionTensors(), TensorShape{MLPNorm, []int64{d}})
	for n := range m.Layers {
		if !yield(InLayer(n, ""), slices.Concat(attention, m.MLPTensors(n))) {
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
	used := make(map[*checkpoint.Tensor]int64) // how many rows of each tensor the weights view
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
				continue // its rows are counted as those of the embedding
			}
			for _, r := range w.rows {
				used[w.stored] += r.n
			}
		}
		if prefix != "" && missing != nil {
			break // a false configuration may claim more layers than anybody could list
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

// wrapped explains names of tensors that begin with something other than "model.", which
// the wrappers of trainers leave behind. It returns an empty text if the names do not
// show this mistake.
func (m *Model) wrapped() string {
	const inside = "layers.0."
	for _, t := range m.Source.Tensors() {
		if prefix, _, found := strings.Cut(t.Name, inside); found && prefix != "model." {
			return fmt.Sprintf("its names begin with %q where %q should be: rename them, or save the model without what wraps it", prefix, "model.")
		}
	}
	return ""
}

// fits returns an error if the tensor that holds w does not have the given number of
// rows, which all weights in it need together, or does not hold floats.
func (m *Model) fits(w *Weight, rows int64) error {
	want := append([]int64{rows}, w.Shape[1:]...)
	t := w.stored
	switch {
	case !slices.Equal(flat(t.Shape, len(want)), want):
		return m.contradiction("tensor %q has shape %v and the configuration says %v", t.Name, t.Shape, want)
	case !t.DType.Float():
		return &UnsupportedError{fmt.Sprintf("tensor %q has dtype %s: the model is quantised", t.Name, t.DType), "convert the unquantised model"}
	}
	return nil
}

// flat returns a shape with its leading dimensions multiplied, so that as many are left as
// asked for: experts are stored one below the other in tensors of three dimensions.
func flat(shape []int64, dims int) []int64 {
	if len(shape) <= dims {
		return shape
	}
	rest := shape[len(shape)-dims:]
	return append([]int64{checkpoint.Spec{Shape: shape[:len(shape)-dims+1]}.Elements()}, rest[1:]...)
}

// stranger returns an error if a tensor that holds no weight of the model seems to change
// what the model computes.
func (m *Model) stranger(name string) error {
	switch {
	case strings.HasSuffix(name, ".bias"):
		return &UnsupportedError{fmt.Sprintf("tensor %q: a %s has no such biases, by its configuration", name, m.Architecture), "see that config.json belongs to these weights"}
	case strings.HasPrefix(name, cmp.Or(m.stem, layers)):
		return &UnsupportedError{fmt.Sprintf("tensor %q is not part of a %s of %d layers", name, m.Architecture, m.Layers), "see that config.json belongs to these weights"}
	default:
		return nil // the conversion copies it
	}
}

// Others returns the tensors of the checkpoint that hold no weight of the model and do
// not change what it computes. A conversion copies them as they are.
func (m *Model) Others() []*checkpoint.Tensor { return m.others }

// Dropped reports whether a tensor has no place in a converted checkpoint. Old files carry
// the frequencies of RoPE and tables made of them, which engines compute; and a head that
// the configuration ties to the embedding is there twice. Layers that predict further tokens
// come after the last one.
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
	var n int
	if _, err := fmt.Sscanf(name, layers+"%d.", &n); m.ahead && (err == nil && n >= m.Layers || strings.HasPrefix(name, "model.mtp_layers.")) {
		return true
	}
	return m.TiedHead && name == head
}

func (m *Model) contradiction(format string, args ...any) error {
	return &checkpoint.FormatError{Path: m.Source.Path, What: fmt.Sprintf(format, args...), Tip: "see that config.json belongs to these weights"}
}
