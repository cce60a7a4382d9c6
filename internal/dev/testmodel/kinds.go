package testmodel

import (
	"cmp"
	"math"
	"strings"

	"github.com/mha2mla/mha2mla/internal/family"
)

// kind describes how the checkpoints of a family other than Llama are published.
type kind struct {
	class  string
	config map[string]any
	// fused maps the canonical name of a weight, without the prefix of the layer, to the
	// name of the tensor that it is part of. Weights of one tensor follow each other.
	fused map[string]string
	// renamed maps the canonical name of a weight, without the prefix of the layer, to the
	// name that the family has for it.
	renamed map[string]string
	stem    string // begins the names of layers; empty: as canonical names do
}

// kinds holds the families by their model_type.
var kinds = map[string]kind{
	"mistral":   {class: "MistralForCausalLM", config: map[string]any{"sliding_window": nil}},
	"internlm":  {class: "InternLMForCausalLM", config: map[string]any{"bias": true}},
	"internlm3": {class: "InternLM3ForCausalLM", config: map[string]any{"qkv_bias": false, "bias": false}},
	"aquila":    {class: "AquilaForCausalLM"},
	"xverse":    {class: "XverseForCausalLM"},
	"mimo":      {class: "MiMoForCausalLM", config: map[string]any{"attention_bias": true, "num_nextn_predict_layers": 1}},
	"minicpm":   {class: "MiniCPMForCausalLM", config: map[string]any{"scale_emb": 3, "scale_depth": 1.4, "dim_model_base": 16}},
	"exaone": {class: "ExaoneForCausalLM", stem: "transformer.h.", renamed: map[string]string{
		family.Embedding: "transformer.wte.weight", family.FinalNorm: "transformer.ln_f.weight", family.InputNorm: "ln_1.weight", family.MLPNorm: "ln_2.weight",
		family.QProj: "attn.attention.q_proj.weight", family.KProj: "attn.attention.k_proj.weight", family.VProj: "attn.attention.v_proj.weight", family.OProj: "attn.attention.out_proj.weight",
		family.GateProj: "mlp.c_fc_0.weight", family.UpProj: "mlp.c_fc_1.weight", family.DownProj: "mlp.c_proj.weight",
	}},
	"deepseek": {class: "DeepseekForCausalLM"},
	"qwen2":    {class: "Qwen2ForCausalLM", config: map[string]any{"use_sliding_window": false, "sliding_window": 64, "max_window_layers": 1}},
	"qwen3":    {class: "Qwen3ForCausalLM", config: map[string]any{"use_sliding_window": false}},
	"granite":  {class: "GraniteForCausalLM", config: map[string]any{"embedding_multiplier": 2.5, "attention_multiplier": 0.25, "residual_multiplier": 0.6, "logits_scaling": 3}},
	"gemma":    {class: "GemmaForCausalLM", config: map[string]any{"hidden_act": "gelu", "hidden_activation": "gelu_pytorch_tanh"}},
	"phi3": {class: "Phi3ForCausalLM", fused: map[string]string{
		family.QProj: "self_attn.qkv_proj.weight", family.KProj: "self_attn.qkv_proj.weight", family.VProj: "self_attn.qkv_proj.weight",
		family.GateProj: "mlp.gate_up_proj.weight", family.UpProj: "mlp.gate_up_proj.weight",
	}},
	"internlm2": {class: "InternLM2ForCausalLM", config: map[string]any{"bias": false, "rope_scaling": map[string]any{"type": "dynamic", "factor": 2}}, fused: map[string]string{
		family.QProj: "attention.wqkv.weight", family.KProj: "attention.wqkv.weight", family.VProj: "attention.wqkv.weight",
		family.QBias: "attention.wqkv.bias", family.KBias: "attention.wqkv.bias", family.VBias: "attention.wqkv.bias",
	}, renamed: map[string]string{
		family.Embedding: "model.tok_embeddings.weight", family.Head: "output.weight",
		family.InputNorm: "attention_norm.weight", family.MLPNorm: "ffn_norm.weight", family.OProj: "attention.wo.weight", family.OBias: "attention.wo.bias",
		family.GateProj: "feed_forward.w1.weight", family.DownProj: "feed_forward.w2.weight", family.UpProj: "feed_forward.w3.weight",
	}},
}

// biases reports whether the projections to queries, keys and values have biases, and
// whether the output projection has one.
func (m Llama) biases() (inner, output bool) {
	on := m.Config["attention_bias"] == true || m.Config["bias"] == true || m.Kind == "internlm"
	return on || m.Kind == "qwen2" || m.Kind == "mimo", on
}

// attentionExtras adds the biases and norms that the attention of a layer has beside its
// projections.
func (m Llama) attentionExtras(add func(name string, mean, std float64, shape ...int64), prefix string) {
	q, kv := int64(m.Heads*m.HeadDim), int64(m.KVHeads*m.HeadDim)
	inner, output := m.biases()
	size := cmp.Or(m.Bias, 1)
	if inner {
		add(prefix+family.QBias, 0, size, q)
		add(prefix+family.KBias, 0, size, kv)
		add(prefix+family.VBias, 0, size, kv)
	}
	if output {
		add(prefix+family.OBias, 0, size/math.Sqrt(float64(m.Hidden)), int64(m.Hidden))
	}
	if m.Kind == "qwen3" {
		add(prefix+family.QNorm, 1.2, 0.3, int64(m.HeadDim))
		add(prefix+family.KNorm, 1.2, 0.3, int64(m.HeadDim))
	}
}

// published turns canonical tensors into the tensors that the family publishes.
func (m Llama) published(all []tensor) []tensor {
	k := kinds[m.Kind]
	at := make(map[string]int) // index of each fused tensor in out
	var out []tensor
	for _, t := range all {
		prefix, name := "", t.Name
		if rest, ok := strings.CutPrefix(name, "model.layers."); ok {
			number, within, _ := strings.Cut(rest, ".")
			prefix, name = cmp.Or(k.stem, "model.layers.")+number+".", within
			t.Name = prefix + name
		}
		if m.Kind == "gemma" && len(t.Shape) == 1 {
			t.mean -= 1 // Gemma adds 1 to the weights of norms
		}
		if fused, ok := k.fused[name]; ok {
			t.Name = prefix + fused
			if i, there := at[t.Name]; there {
				out[i].Shape[0] += t.Shape[0]
				out[i].parts = append(out[i].parts, part{t.Shape[0], t.std})
				continue
			}
			at[t.Name] = len(out)
			t.parts = []part{{t.Shape[0], t.std}}
		} else if other, ok := k.renamed[name]; ok {
			t.Name = prefix + other
		}
		out = append(out, t)
	}
	if m.Kind == "internlm2" { // the parts of each KV head stand together
		for i, t := range out {
			var parts []part
			for range m.KVHeads {
				for _, p := range t.parts {
					parts = append(parts, part{p.rows / int64(m.KVHeads), p.std})
				}
			}
			out[i].parts = parts
		}
	}
	return out
}

// part is a block of rows of a fused tensor, and the standard deviation of its values.
type part struct {
	rows int64
	std  float64
}

// deviation returns the standard deviation of the values in a row.
func (t *tensor) deviation(row int64) float64 {
	for _, p := range t.parts {
		if row < p.rows {
			return p.std
		}
		row -= p.rows
	}
	return t.std
}
