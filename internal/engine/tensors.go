package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/option"
)

// tensorRules lists the demands on the tensors in the files.
var tensorRules = []rule{
	// Transformers fills a missing tensor with random values, and SGLang leaves in it
	// what the memory held. The others stop, as do these two at a shape.
	{"tensors", []Engine{HF, SGLang}, misleads, func(s *subject, _ Engine) (string, option.Text) {
		absent, _ := s.missing()
		return absent, otherWeights
	}},
	{"tensors", []Engine{HF, SGLang}, stops, func(s *subject, _ Engine) (string, option.Text) {
		_, misshapen := s.missing()
		return misshapen, otherWeights
	}},
	{"tensors", []Engine{VLLM, LlamaCPP, MLX, Ollama}, stops, func(s *subject, _ Engine) (string, option.Text) {
		absent, misshapen := s.missing()
		return absent + misshapen, otherWeights
	}},
	{"biases", []Engine{HF}, misleads, func(s *subject, _ Engine) (string, option.Text) {
		return s.biased(s.unknownBias, "has no place in its class and is left out without a word")
	}},
	{"biases", []Engine{MLX}, stops, func(s *subject, _ Engine) (string, option.Text) {
		return s.biased(s.unknownBias, "has no place in its class, at which it stops")
	}},
	{"biases", gpu, misleads, func(s *subject, _ Engine) (string, option.Text) {
		return s.biased(isBias, "is left out without a word")
	}},
	{"biases", gguf, stops, func(s *subject, _ Engine) (string, option.Text) {
		return s.biased(isBias, "has no place in its class, at which it stops")
	}},
	// These two ignore tensors that they do not know. Within a layer, such a tensor is
	// part of what the model computes.
	{"strangers", []Engine{HF, SGLang}, misleads, func(s *subject, _ Engine) (string, option.Text) {
		return s.stranger(func(inLayer bool) bool { return inLayer }, "is left out without a word")
	}},
	{"strangers", []Engine{VLLM, LlamaCPP, MLX, Ollama}, stops, func(s *subject, _ Engine) (string, option.Text) {
		return s.stranger(func(bool) bool { return true }, "has no place in its class, at which it stops")
	}},
	// Layers after the last one predict further tokens.
	{"strangers", []Engine{VLLM}, stops, func(s *subject, _ Engine) (string, option.Text) {
		return s.beyond()
	}},
	{"strangers", []Engine{MLX}, stops, beyondLast},
	{"head", []Engine{VLLM, MLX}, stops, func(s *subject, _ Engine) (string, option.Text) {
		return s.headless("and it does not tie the head to the embedding")
	}},
	{"head", []Engine{SGLang}, advises, func(s *subject, _ Engine) (string, option.Text) {
		if !s.model.TiedHead {
			return "", nothing
		}
		return s.headless("and only newer versions tie the head to the embedding")
	}},
	{"head", []Engine{HF, SGLang}, misleads, func(s *subject, _ Engine) (string, option.Text) {
		if s.model.TiedHead {
			return "", nothing
		}
		return s.headless("and tie_word_embeddings is false: the head is made up at random")
	}},
	{"head", gguf, advises, func(s *subject, _ Engine) (string, option.Text) {
		if s.model.TiedHead {
			return "", nothing
		}
		return s.headless("and it takes the embedding in its place")
	}},
	{"head", []Engine{HF, SGLang, LlamaCPP, Ollama}, advises, func(s *subject, _ Engine) (string, option.Text) {
		_, ok := s.tensor[family.Head]
		if !ok || !s.model.TiedHead {
			return "", nothing
		}
		return fmt.Sprintf("\"tie_word_embeddings\" is true: it takes the embedding in place of %q", family.Head), option.Plain("set tie_word_embeddings to false")
	}},
	{"dtypes", every, stops, func(s *subject, _ Engine) (string, option.Text) {
		if s.has("quantization_config") || s.GGUF {
			return "", nothing
		}
		name := s.first(func(name string) bool { return !s.tensor[name].DType.Float() })
		if name == "" {
			return "", nothing
		}
		return fmt.Sprintf("tensor %q is of type %s and no quantization_config explains it", name, s.tensor[name].DType), option.Plain("convert the unquantised model")
	}},
	// The conversion makes latents so small that the norm passes them unchanged (design
	// §6). F16 represents numbers of that size coarsely.
	{"float16", every, advises, func(s *subject, _ Engine) (string, option.Text) {
		if s.tensor[family.InLayer(0, family.KVANorm)].DType != checkpoint.F16 {
			return "", nothing
		}
		return "its weights are of type F16, in which a linear norm of the latent rounds coarsely", option.Textf("convert with %v", option.DType.Is("bf16"))
	}},
	// Both engines serve float32 in 16 bits. Newer versions take bfloat16, which is
	// right; older ones took float16.
	{"float32", gpu, advises, func(s *subject, _ Engine) (string, option.Text) {
		kind := s.text("torch_dtype")
		if kind == "" {
			kind = s.text("dtype")
		}
		if kind != "" && kind != "float32" {
			return "", nothing
		}
		return "it serves a model of float32 in 16 bits, older versions in float16", option.Textf("convert with %v, or serve it with --dtype bfloat16", option.DType.Is("bf16"))
	}},
}

// first returns the name of the first tensor, in the order of names, that has a property.
// It leaves out tensors of layers that the model does not have, and returns an empty text
// if no tensor has the property.
func (s *subject) first(property func(name string) bool) string {
	for _, name := range s.names {
		n, _, inLayer := layerOf(name)
		if (!inLayer || n < s.model.Layers) && property(name) {
			return name
		}
	}
	return ""
}

// expected lists the tensors that layer n of the model needs. Of experts it lists the gate
// alone.
func (s *subject) expected(n int) []family.TensorShape {
	d, f := int64(s.model.Hidden), int64(s.model.Intermediate)
	all := append(s.model.AttentionTensors(), family.TensorShape{Name: family.MLPNorm, Shape: []int64{d}})
	if s.dense(n) {
		return append(all,
			family.TensorShape{Name: family.GateProj, Shape: []int64{f, d}},
			family.TensorShape{Name: family.UpProj, Shape: []int64{f, d}},
			family.TensorShape{Name: family.DownProj, Shape: []int64{d, f}})
	}
	count := 256 // the number of DeepSeek-V3 itself
	s.decode("n_routed_experts", &count)
	return append(all, family.TensorShape{Name: "mlp.gate.weight", Shape: []int64{int64(count), d}})
}

// otherWeights is the advice about tensors that the configuration does not describe.
var otherWeights = option.Plain("see that config.json belongs to these weights")

// missing complains of the first tensor that is not there, or that has another shape than
// the configuration says. One of the two is empty. Quantised tensors have other names and
// shapes, of which it says nothing.
func (s *subject) missing() (absent, misshapen string) {
	if s.has("quantization_config") {
		return "", ""
	}
	d, v := int64(s.model.Hidden), int64(s.model.Vocab)
	all := []family.TensorShape{{Name: family.Embedding, Shape: []int64{v, d}}, {Name: family.FinalNorm, Shape: []int64{d}}}
	if s.model.Layers > len(s.Tensors) {
		return fmt.Sprintf("it has %d tensors for %d layers", len(s.Tensors), s.model.Layers), ""
	}
	for n := range s.model.Layers {
		for _, t := range s.expected(n) {
			all = append(all, family.TensorShape{Name: family.InLayer(n, t.Name), Shape: t.Shape})
		}
	}
	if _, ok := s.tensor[family.Head]; ok {
		all = append(all, family.TensorShape{Name: family.Head, Shape: []int64{v, d}})
	}
	for _, want := range all {
		t, ok := s.tensor[want.Name]
		switch {
		case !ok:
			return fmt.Sprintf("tensor %q is missing", want.Name), ""
		case !slices.Equal(t.Shape, want.Shape):
			return "", fmt.Sprintf("tensor %q has shape %v, and by the configuration %v", want.Name, t.Shape, want.Shape)
		}
	}
	return "", ""
}

// knownBias reports whether Transformers has a place for a bias.
func (s *subject) knownBias(name string) bool {
	_, rest, _ := layerOf(name)
	return s.bool("attention_bias", false) &&
		slices.Contains([]string{"self_attn.q_a_proj.bias", "self_attn.kv_a_proj_with_mqa.bias", "self_attn.o_proj.bias"}, rest)
}

// isBias reports whether a tensor is a bias, by its name.
func isBias(name string) bool { return strings.HasSuffix(name, ".bias") }

// unknownBias reports whether a tensor is a bias that Transformers has no place for.
func (s *subject) unknownBias(name string) bool { return isBias(name) && !s.knownBias(name) }

// biased complains of the first bias that counts. The fate says what the engine does with it.
func (s *subject) biased(counts func(name string) bool, fate string) (string, option.Text) {
	name := s.first(counts)
	if name == "" {
		return "", nothing
	}
	return fmt.Sprintf("tensor %q %s", name, fate), option.Plain("fold the bias into the weights")
}

// stranger complains of the first tensor that has no place in the class, among those that
// count. The fate says what the engine does with it.
func (s *subject) stranger(counts func(inLayer bool) bool, fate string) (string, option.Text) {
	name := s.first(func(name string) bool {
		n, rest, inLayer := layerOf(name)
		switch {
		case !counts(inLayer), strings.HasSuffix(name, ".bias"), strings.HasSuffix(name, ".rotary_emb.inv_freq"):
			return false
		case !inLayer:
			return !slices.Contains([]string{family.Embedding, family.FinalNorm, family.Head}, name)
		case !s.dense(n) && strings.HasPrefix(rest, "mlp."), s.has("quantization_config"):
			return false
		}
		return !slices.ContainsFunc(s.expected(n), func(t family.TensorShape) bool { return t.Name == rest })
	})
	if name == "" {
		return "", nothing
	}
	return fmt.Sprintf("tensor %q %s", name, fate), option.Plain("remove the tensor if the model does without it")
}

// beyond complains of the first tensor in a layer that the configuration does not have.
func (s *subject) beyond() (string, option.Text) {
	further := 0
	s.decode("num_nextn_predict_layers", &further) // another kind of value counts as none
	for _, name := range s.names {
		n, rest, inLayer := layerOf(name)
		if inLayer && n-s.model.Layers >= max(0, further) && rest != "self_attn.rotary_emb.inv_freq" && !strings.HasSuffix(name, ".bias") {
			return fmt.Sprintf("tensor %q is of a layer beyond num_hidden_layers and num_nextn_predict_layers, at which it stops", name), option.Plain("remove the tensor")
		}
	}
	return "", nothing
}

// headless complains if no head is stored. The fate says what the engine does then.
func (s *subject) headless(fate string) (string, option.Text) {
	if _, ok := s.tensor[family.Head]; ok {
		return "", nothing
	}
	return fmt.Sprintf("tensor %q is missing, %s", family.Head, fate), option.Plain("store a copy of the embedding as the head")
}
