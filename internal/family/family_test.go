package family_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
)

// read makes a checkpoint and describes it.
func read(t *testing.T, m testmodel.Llama) (*family.Model, error) {
	t.Helper()
	src, err := checkpoint.Open(m.Write(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return family.Read(src, "")
}

// latent is a DeepSeek-V3 with scaled RoPE.
func latent(kind string, mscale, mscaleAll float64) testmodel.Llama {
	return testmodel.Llama{Untied: true, Latent: &testmodel.Latent{Rank: 12, RopeDims: 4, NopeDim: 8, ValueDim: 8}, Config: map[string]any{
		"rope_scaling": map[string]any{"type": kind, "factor": 4, "original_max_position_embeddings": 64, "mscale": mscale, "mscale_all_dim": mscaleAll}}}
}

// ropeOf is a model that describes RoPE in the older, the newer form, or both.
func ropeOf(scaling, parameters map[string]any) testmodel.Llama {
	c := map[string]any{"rope_parameters": parameters}
	if scaling != nil {
		c["rope_scaling"] = scaling
	} else {
		c["rope_theta"] = nil
	}
	return testmodel.Llama{Config: c}
}

// of is a model of another class with the tensors of a Llama.
func of(kind, class string, more map[string]any) testmodel.Llama {
	c := map[string]any{"model_type": kind, "architectures": []string{class}}
	maps.Copy(c, more)
	return testmodel.Llama{Config: c}
}

// withLayers returns m with that many layers.
func withLayers(m testmodel.Llama, n int) testmodel.Llama { m.Layers = n; return m }

func withQuery(m testmodel.Llama, rank int) testmodel.Llama { m.Config["q_lora_rank"] = rank; return m }

// ahead is a GLM-4.5-Air whose last layer predicts further tokens.
func ahead() testmodel.Llama {
	m := of("glm4_moe", "Glm4MoeForCausalLM", nil)
	m.Experts = &family.MoE{Experts: 4, Chosen: 2, Width: 16, Shared: 16, First: 1, Score: family.Sigmoid, Bias: true, Renorm: true, Scale: 1}
	m.Extra = []checkpoint.Spec{{Name: "model.layers.2.eh_proj.weight", DType: checkpoint.F32, Shape: []int64{32, 64}}}
	return m
}

func smollm3(more map[string]any) testmodel.Llama { return of("smollm3", "SmolLM3ForCausalLM", more) }

func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		make  testmodel.Llama
		check func(*family.Model) bool
	}{
		"MHA":                   {testmodel.Llama{}, func(m *family.Model) bool { return m.KVHeads == 4 && m.CacheFloats() == 64 && m.TiedHead }},
		"GQA":                   {testmodel.Llama{KVHeads: 2}, func(m *family.Model) bool { return m.KVHeads == 2 && m.Shape().KVHead(3) == 1 }},
		"MQA":                   {testmodel.Llama{KVHeads: 1}, func(m *family.Model) bool { return m.KVHeads == 1 && m.CacheFloats() == 16 }},
		"untied":                {testmodel.Llama{Untied: true}, func(m *family.Model) bool { return !m.TiedHead }},
		"head_dim derived":      {testmodel.Llama{Config: map[string]any{"head_dim": nil}}, func(m *family.Model) bool { return m.HeadDim == 8 }},
		"head_dim of its own":   {testmodel.Llama{HeadDim: 16}, func(m *family.Model) bool { return m.HeadDim == 16 }},
		"KV heads left out":     {testmodel.Llama{Config: map[string]any{"num_key_value_heads": nil}}, func(m *family.Model) bool { return m.KVHeads == 4 }},
		"defaults":              {testmodel.Llama{Config: map[string]any{"rms_norm_eps": nil, "rope_theta": nil, "max_position_embeddings": nil}}, func(m *family.Model) bool { return m.NormEps == 1e-6 && m.RopeTheta == 10000 && m.MaxPositions == 2048 }},
		"rope_parameters":       {testmodel.Llama{Config: map[string]any{"rope_theta": nil, "rope_parameters": map[string]any{"rope_theta": 5e5, "rope_type": "default"}}}, func(m *family.Model) bool { return m.RopeTheta == 5e5 }},
		"for each layer type":   {ropeOf(nil, map[string]any{"full_attention": map[string]any{"rope_theta": 5e5, "rope_type": "default"}, "sliding_attention": map[string]any{"rope_theta": 5e5}}), func(m *family.Model) bool { return m.RopeTheta == 5e5 }},
		"said twice alike":      {ropeOf(map[string]any{"type": "linear", "factor": 2}, map[string]any{"rope_type": "linear", "factor": 2.0, "rope_theta": 10000}), func(m *family.Model) bool { return m.Rope.Kind == "linear" && m.RopeTheta == 10000 }},
		"a base in the scaling": {testmodel.Llama{Config: map[string]any{"rope_theta": nil, "rope_scaling": map[string]any{"rope_theta": 5e5, "type": "default"}}}, func(m *family.Model) bool { return m.RopeTheta == 5e5 }},
		"a rope key unknown":    {testmodel.Llama{Config: map[string]any{"rope_ratio": 8}}, func(m *family.Model) bool { return len(m.Notes) == 1 && strings.Contains(m.Notes[0], "rope_ratio") }},
		"a head of its own":     {testmodel.Llama{Extra: []checkpoint.Spec{{Name: "lm_head.weight", DType: checkpoint.F32, Shape: []int64{64, 32}}}}, func(m *family.Model) bool { return !m.TiedHead && len(m.Notes) == 1 && m.Config != nil }},
		"tables of angles":      {testmodel.Llama{Extra: []checkpoint.Spec{{Name: "model.layers.0.self_attn.rotary_emb.cos_cached", DType: checkpoint.F32, Shape: []int64{1, 1, 16, 8}}}}, func(m *family.Model) bool { return m.Dropped("model.layers.0.self_attn.rotary_emb.cos_cached") }},
		"default scaling":       {testmodel.Llama{Config: map[string]any{"rope_scaling": map[string]any{"type": "default"}}}, func(m *family.Model) bool { return true }},
		"latent, yarn": {latent("yarn", 1, 1), func(m *family.Model) bool {
			return m.Rope.Kind == "yarn" && m.Rope.Factor == 4 && m.Rope.High == 32 && m.Rope.Low == 1 && math.Abs(m.Rope.Attention-1-0.1*math.Log(4)) < 1e-15
		}},
		"latent, a query of 0": {withQuery(latent("default", 0, 0), 0), func(m *family.Model) bool {
			return m.MLA.QLoraRank == 0 && m.Weight("model.layers.0.self_attn.q_proj.weight") != nil
		}},
		"latent, default": {latent("default", 0, 0), func(m *family.Model) bool { return m.Rope == nil }},
		"EXAONE's own keys": {testmodel.Llama{Kind: "exaone", Config: map[string]any{"num_hidden_layers": nil, "num_layers": 2, "rms_norm_eps": nil, "layer_norm_epsilon": 1e-4, "hidden_act": nil, "activation_function": "silu"}}, func(m *family.Model) bool {
			return m.Layers == 2 && m.NormEps == 1e-4 && m.Config.Has("num_hidden_layers") && m.Weight("model.layers.1.mlp.down_proj.weight").Stored() == "transformer.h.1.mlp.c_proj.weight"
		}},
		"DeepSeek 1": {testmodel.Llama{Kind: "deepseek"}, func(m *family.Model) bool {
			class, _ := m.Deepseek()
			return class == family.DeepseekV2Class && m.MoE.Shared == 32 && !m.HasExperts(0) && m.HasExperts(1) && m.Inner() == 48 && m.Weight("model.layers.1.mlp.experts.5.up_proj.weight") != nil
		}},
		"DeepSeek 1, all dense": {testmodel.Llama{Kind: "deepseek", Layers: 1}, func(m *family.Model) bool { return m.MoE == nil }},
		"a layer ahead": {ahead(), func(m *family.Model) bool {
			return m.Dropped("model.layers.2.eh_proj.weight") && len(m.Others()) == 0 && m.MoE.Bias && m.Turning() == 4
		}},
		"every fourth layer still": {withLayers(smollm3(nil), 4), func(m *family.Model) bool {
			f := m.Frequencies(3)
			return slices.Equal(m.Still, []bool{false, false, false, true}) && len(f) == 4 && slices.Max(f) == 0 && m.Frequencies(2)[0] == 1 && !m.Rotates()
		}},
		"a part rotates": {testmodel.Llama{Kind: "phi3", Config: map[string]any{"partial_rotary_factor": 0.5}}, func(m *family.Model) bool {
			return slices.Equal(m.Frequencies(0), []float64{1, 0.01, 0, 0}) && m.Turning() == 4 && !m.Rotates()
		}},
		"all rotates, said so": {testmodel.Llama{Kind: "phi3", Config: map[string]any{"partial_rotary_factor": 1.0}}, func(m *family.Model) bool { return m.Rotates() && m.Turning() == 8 }},
		"old frequencies":      {testmodel.Llama{Extra: []checkpoint.Spec{{Name: "model.layers.0.self_attn.rotary_emb.inv_freq", DType: checkpoint.F32, Shape: []int64{4}}}}, func(m *family.Model) bool { return m.Dropped("model.layers.0.self_attn.rotary_emb.inv_freq") }},
		"a tensor of no layer": {testmodel.Llama{Extra: []checkpoint.Spec{{Name: "value_head.weight", DType: "F8_E4M3", Shape: []int64{4}}}}, func(m *family.Model) bool { return !m.Dropped("value_head.weight") }},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := read(t, c.make)
			if err != nil {
				t.Fatal(err)
			}
			if !c.check(m) {
				t.Errorf("described as %+v, which is not what its configuration says", m)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	set := func(key string, value any) testmodel.Llama {
		return testmodel.Llama{Config: map[string]any{key: value}}
	}
	without := func(names ...string) testmodel.Llama {
		m := testmodel.Llama{Without: map[string]struct{}{}}
		for _, name := range names {
			m.Without[name] = struct{}{}
		}
		return m
	}
	extra := func(name string) testmodel.Llama {
		return testmodel.Llama{Extra: []checkpoint.Spec{{Name: name, DType: checkpoint.F32, Shape: []int64{4}}}}
	}
	const malformed, unsupported = "malformed", "unsupported"
	const kProj = "model.layers.0.self_attn.k_proj.weight"
	for name, c := range map[string]struct {
		make       testmodel.Llama
		kind, want string
	}{
		"unknown architecture":   {testmodel.Llama{Config: map[string]any{"model_type": "mamba", "architectures": []string{"MambaForCausalLM"}}}, unsupported, "MambaForCausalLM"},
		"another latent class":   {testmodel.Llama{Config: map[string]any{"model_type": "minicpm3", "kv_lora_rank": 8}}, unsupported, "latent attention already"},
		"GPTQ":                   {set("quantization_config", map[string]any{"quant_method": "gptq"}), unsupported, "quantised with gptq"},
		"FP8":                    {set("quantization_config", map[string]any{"quant_method": "fp8"}), unsupported, "quantised with fp8"},
		"old compressed tensors": {set("compression_config", map[string]any{"quant_method": "compressed-tensors"}), unsupported, "quantised with compressed-tensors"},
		"a nameless method":      {set("quantization_config", map[string]any{"bits": 4}), unsupported, "does not name"},
		"GPTQ by its tensors":    {extra("model.layers.0.self_attn.q_proj.g_idx"), unsupported, "quantised with GPTQ"},
		"AWQ by its tensors":     {extra("model.layers.0.self_attn.q_proj.qweight"), unsupported, "AWQ"},
		"FP8 by its tensors":     {extra("model.layers.0.self_attn.q_proj.weight_scale_inv"), unsupported, "quantised with FP8 in blocks"},
		"bitsandbytes":           {extra("model.layers.0.self_attn.q_proj.weight.absmax"), unsupported, "quantised with bitsandbytes"},
		"compressed tensors":     {extra("model.layers.0.self_attn.q_proj.weight_packed"), unsupported, "quantised with compressed-tensors"},
		"eight bits":             {testmodel.Llama{Without: map[string]struct{}{kProj: {}}, Extra: []checkpoint.Spec{{Name: kProj, DType: "F8_E4M3", Shape: []int64{32, 32}}}}, unsupported, "F8_E4M3: the model is quantised"},
		"adapter":                {extra("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"), unsupported, "LoRA"},
		"latent, linear":         {latent("linear", 1, 1), unsupported, "other than by yarn"},
		"latent, no mscale":      {latent("yarn", 0, 0), unsupported, "other than by yarn"},
		"latent, unlike mscales": {latent("yarn", 1, 0.7), unsupported, "other than by yarn"},
		"longrope":               {set("rope_scaling", map[string]any{"type": "longrope", "short_factor": []float64{1}}), unsupported, `"longrope"`},
		"llama3 without factors": {set("rope_scaling", map[string]any{"rope_type": "llama3", "factor": 8}), malformed, "low_freq_factor"},
		"linear without factor":  {set("rope_scaling", map[string]any{"rope_type": "linear"}), malformed, "factor is 0"},
		"partial rotation":       {set("partial_rotary_factor", 0.5), unsupported, "partial_rotary_factor"},
		"MLP biases":             {set("mlp_bias", true), unsupported, "mlp_bias"},
		"Qwen3 with biases":      {testmodel.Llama{Kind: "qwen3", Config: map[string]any{"attention_bias": true}}, unsupported, "attention_bias"},
		"Phi-3, half a pair":     {testmodel.Llama{Kind: "phi3", Config: map[string]any{"partial_rotary_factor": 0.4}}, malformed, "3 of 8 dimensions"},
		"Phi-3, more than all":   {testmodel.Llama{Kind: "phi3", Config: map[string]any{"partial_rotary_factor": 1.5}}, malformed, "at most 1"},
		"EXAONE with gelu":       {testmodel.Llama{Kind: "exaone", Config: map[string]any{"hidden_act": nil, "activation_function": "gelu"}}, unsupported, "gelu"},
		"EXAONE, one too many":   {testmodel.Llama{Kind: "exaone", Extra: []checkpoint.Spec{{Name: "transformer.h.2.ln_1.weight", DType: checkpoint.F32, Shape: []int64{4}}}}, unsupported, "2 layers"},
		"MiniCPM with experts":   {testmodel.Llama{Kind: "minicpm", Config: map[string]any{"num_experts": 8}}, unsupported, "experts"},
		"Granite 4 with Mamba":   {of("granitemoehybrid", "GraniteMoeHybridForCausalLM", map[string]any{"layer_types": []string{"mamba", "attention"}}), unsupported, "KV cache"},
		"Granite 4 with experts": {of("granitemoehybrid", "GraniteMoeHybridForCausalLM", map[string]any{"layer_types": []string{"attention", "attention"}}), unsupported, "experts"},
		"experts in groups":      {testmodel.Llama{Kind: "deepseek", Config: map[string]any{"n_group": 2}}, unsupported, "n_group"},
		"experts here and there": {testmodel.Llama{Kind: "deepseek", Config: map[string]any{"moe_layer_freq": 2}}, unsupported, "moe_layer_freq"},
		"sigmoids of DeepSeek 1": {testmodel.Llama{Kind: "deepseek", Config: map[string]any{"scoring_func": "sigmoid"}}, unsupported, "scoring_func"},
		"more than all experts":  {testmodel.Llama{Kind: "deepseek", Config: map[string]any{"num_experts_per_tok": 7}}, malformed, "7 of 6 experts"},
		"experts without end":    {testmodel.Llama{Kind: "deepseek", Config: map[string]any{"n_routed_experts": 1 << 20}}, malformed, "2^16"},
		"shared without end":     {testmodel.Llama{Kind: "deepseek", Config: map[string]any{"n_shared_experts": 1 << 20}}, malformed, "n_shared_experts"},
		"an expert missing":      {testmodel.Llama{Kind: "deepseek", Config: map[string]any{"n_routed_experts": 7}}, malformed, "mlp.gate.weight"},
		"experts of no number":   {testmodel.Llama{Kind: "deepseek", Config: map[string]any{"n_routed_experts": nil}}, malformed, "missing"},
		"Qwen3, every other":     {of("qwen3_moe", "Qwen3MoeForCausalLM", map[string]any{"decoder_sparse_step": 2}), unsupported, "no experts"},
		"Qwen3, some dense":      {of("qwen3_moe", "Qwen3MoeForCausalLM", map[string]any{"mlp_only_layers": []int{1}}), unsupported, "no experts"},
		"GLM-4.6":                {of("glm4_moe", "Glm4MoeForCausalLM", map[string]any{"attention_bias": true, "use_qk_norm": true}), unsupported, "attention_bias"},
		"few flags of layers":    {smollm3(map[string]any{"no_rope_layers": []int{1}}), malformed, "1 members for 2 layers"},
		"flags of another kind":  {smollm3(map[string]any{"no_rope_layers": "all"}), malformed, "no_rope_layers"},
		"a window of some":       {smollm3(map[string]any{"use_sliding_window": true}), unsupported, "use_sliding_window"},
		"ERNIE with biases":      {of("ernie4_5", "Ernie4_5ForCausalLM", map[string]any{"use_bias": true}), unsupported, "use_bias"},
		"too many rows":          {of("helium", "HeliumForCausalLM", map[string]any{"num_attention_heads": 1 << 20}), malformed, "2^20"},
		"another gelu of Gemma":  {testmodel.Llama{Kind: "gemma", Config: map[string]any{"hidden_activation": "gelu"}}, unsupported, "gelu"},
		"a fused tensor short":   {testmodel.Llama{Kind: "phi3", Config: map[string]any{"num_key_value_heads": 2}}, malformed, `"model.layers.0.self_attn.qkv_proj.weight" has shape [96 32]`},
		"qwen2 without biases":   {testmodel.Llama{Kind: "qwen2", Without: map[string]struct{}{"model.layers.1.self_attn.v_proj.bias": {}}}, malformed, "v_proj.bias"},
		"another class":          {testmodel.Llama{Kind: "qwen2", Config: map[string]any{"architectures": []string{"Qwen2ForSequenceClassification"}}}, unsupported, "Qwen2ForSequenceClassification"},
		"gelu":                   {set("hidden_act", "gelu"), unsupported, `"gelu"`},
		"attention bias":         {testmodel.Llama{Config: map[string]any{"attention_bias": true}, Without: map[string]struct{}{"model.layers.0.self_attn.q_proj.bias": {}}}, malformed, "q_proj.bias"},
		"a bias tensor":          {extra("model.layers.0.self_attn.q_proj.bias"), unsupported, "no such biases"},
		"QK norm":                {extra("model.layers.0.self_attn.q_norm.weight"), unsupported, "q_norm"},
		"one layer too many":     {extra("model.layers.2.input_layernorm.weight"), unsupported, "2 layers"},
		"no name":                {testmodel.Llama{Config: map[string]any{"model_type": nil, "architectures": nil}}, malformed, "names no model_type"},
		"theta 0":                {set("rope_theta", 0), malformed, "rope_theta"},
		"theta negative":         {set("rope_theta", -1), malformed, "rope_theta"},
		"theta a string":         {set("rope_theta", "10000"), malformed, "rope_theta"},
		"theta 1":                {set("rope_theta", 1), malformed, "above 1"},
		"odd head_dim":           {testmodel.Llama{HeadDim: 7}, malformed, "even"},
		"KV heads 3 of 4":        {set("num_key_value_heads", 3), malformed, "divide"},
		"heads 0":                {set("num_attention_heads", 0), malformed, "num_attention_heads"},
		"layers a fraction":      {set("num_hidden_layers", 1.5), malformed, "num_hidden_layers"},
		"layers beyond reason":   {set("num_hidden_layers", 1<<30), malformed, "layers"},
		"size beyond reason":     {set("hidden_size", 1<<40), malformed, "hidden_size"},
		"no hidden_size":         {set("hidden_size", nil), malformed, "hidden_size"},
		"eps negative":           {set("rms_norm_eps", -1e-5), malformed, "rms_norm_eps"},
		"tie a number":           {set("tie_word_embeddings", 1), malformed, "tie_word_embeddings"},
		"heads do not fit":       {set("num_attention_heads", 8), malformed, "shape"},
		"a layer missing":        {set("num_hidden_layers", 3), malformed, "missing"},
		"k_proj without v_proj":  {without("model.layers.1.self_attn.v_proj.weight"), malformed, "v_proj"},
		"no head, not tied":      {set("tie_word_embeddings", false), malformed, "lm_head"},
		"two bases":              {testmodel.Llama{Config: map[string]any{"rope_theta": 1e4, "rope_parameters": map[string]any{"rope_theta": 5e5}}}, malformed, "in one place"},
		"two bases by layer":     {ropeOf(nil, map[string]any{"full_attention": map[string]any{"rope_theta": 1e4}, "sliding_attention": map[string]any{"rope_theta": 1e6}}), malformed, "in one place"},
		"two scalings":           {ropeOf(map[string]any{"type": "linear", "factor": 2}, map[string]any{"rope_type": "yarn", "factor": 2, "rope_theta": 10000}), malformed, "two ways"},
		"two factors":            {ropeOf(map[string]any{"type": "linear", "factor": 2}, map[string]any{"rope_type": "linear", "factor": 4, "rope_theta": 10000}), malformed, "two ways"},
		"two types":              {set("rope_scaling", map[string]any{"rope_type": "yarn", "type": "linear", "factor": 2}), malformed, `"linear"`},
		"flat and nested":        {set("rope_parameters", map[string]any{"rope_theta": 5e5, "full_attention": map[string]any{"rope_theta": 5e5}}), malformed, "for some"},
		"a factor alone":         {set("rope_scaling", map[string]any{"factor": 4}), malformed, "no rope_type"},
		"neighbours are pairs":   {set("rope_interleaved", true), unsupported, "rope_interleaved"},
		"MLX":                    {set("quantization", map[string]any{"bits": 4}), unsupported, "quantised"},
		"a scaling of no object": {set("rope_scaling", 3), malformed, "rope_scaling"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(t, c.make)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
			kind := "other"
			switch {
			case errors.As(err, new(*checkpoint.FormatError)):
				kind = malformed
			case errors.As(err, new(*family.UnsupportedError)):
				kind = unsupported
			}
			if kind != c.kind {
				t.Errorf("%s error, want %s: %v", kind, c.kind, err)
			}
		})
	}
}

// TestRefusedFamilies: every type that people
// have and that cannot be converted says why and what to use.
func TestRefusedFamilies(t *testing.T) {
	for _, r := range family.Refusals() {
		for _, kind := range r.Types {
			_, err := read(t, testmodel.Llama{Layers: 1, Config: map[string]any{"model_type": kind, "architectures": []string{"SomeForCausalLM"}}})
			var refused *family.UnsupportedError
			if !errors.As(err, &refused) || !strings.Contains(refused.What, kind) || !strings.Contains(refused.What, r.Why) || refused.Tip == "" {
				t.Errorf("%s: got %v, want a refusal with %q and a tip", kind, err, r.Why)
			}
			if strings.Contains(refused.What, "\n") {
				t.Errorf("%s: more than a line", kind)
			}
		}
	}
}

// TestFamilies: each family is known by its name and class, and says what becomes
// of it, as its models do.
func TestFamilies(t *testing.T) {
	stock := make(map[string]*family.Model) // by the model_type
	testmodel.EachStock(t, "../..", func(t *testing.T, s testmodel.Stock) {
		m := testmodel.Open(t, s.Dir)
		stock[m.Family()] = m
	})
	seen := make(map[string]bool)
	for _, f := range family.Families() {
		if seen[f.Type] || f.Class == "" || f.Models == "" || f.How.Empty() {
			t.Errorf("%+v: want a type that no other family has, and every field filled in", f)
		}
		seen[f.Type] = true
		m := stock[f.Type]
		if m == nil {
			var err error
			m, err = read(t, testmodel.Llama{Kind: f.Type})
			if err != nil {
				t.Errorf("%s: %v", f.Type, err)
				continue
			}
		}
		class, _ := m.Deepseek()
		if m.Family() != f.Type || m.Architecture != f.Class || class != f.Target {
			t.Errorf("%s: a %s becomes a %s, want %+v", f.Type, m.Architecture, class, f)
		}
		if m.HeadNorms != (f.Exact == family.Approximated) || m.Biases != (f.Exact == family.ExactlyBiased) {
			t.Errorf("%s: norms of heads %v, biases %v, exact %v", f.Type, m.HeadNorms, m.Biases, f.Exact.Text())
		}
	}
	for _, r := range family.Refusals() {
		for _, kind := range r.Types {
			if seen[kind] {
				t.Errorf("%s is known twice", kind)
			}
			seen[kind] = true
		}
	}
}

// TestFusedWeights: rows of a fused tensor come out where the family's class puts
// them, whole or in pieces, and as bytes.
func TestFusedWeights(t *testing.T) {
	m, err := read(t, testmodel.Llama{Kind: "internlm2", Heads: 6, KVHeads: 2})
	if err != nil {
		t.Fatal(err)
	}
	tensor := m.Source.Lookup("model.layers.0.attention.wqkv.weight")
	all := make([]float64, tensor.Elements())
	if err := checkpoint.Read(tensor, 0, all); err != nil {
		t.Fatal(err)
	}
	w := m.Weight(family.InLayer(0, family.QProj))
	got := make([]float64, w.Elements())
	for at := 0; at < len(got); at += 100 {
		if err := family.ReadValues(w, int64(at), got[at:min(at+100, len(got))]); err != nil {
			t.Fatal(err)
		}
	}
	const d, D, group = 32, 8, 3
	for h := range 6 {
		for i := range D * d {
			if want := all[(h/group*(group+2)+h%group)*D*d+i]; got[h*D*d+i] != want {
				t.Fatalf("query head %d: value %d is %v, want %v", h, i, got[h*D*d+i], want)
			}
		}
	}
	raw, err := io.ReadAll(w.Data())
	if err != nil || int64(len(raw)) != w.Bytes() {
		t.Fatalf("%d bytes of %d, %v", len(raw), w.Bytes(), err)
	}
	for i, v := range got {
		if b := math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])); float64(b) != v {
			t.Fatalf("byte %d: %v, want %v", 4*i, b, v)
		}
	}
	if stored, at := w.Locate(3*D*d + 5); stored != tensor || at != (group+2)*D*d+5 {
		t.Errorf("the fourth head is at %d of %q", at, stored.Name)
	}
}

func TestNoModel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := checkpoint.NewWriter(f, []checkpoint.Spec{{Name: "x", DType: "U8", Shape: []int64{0}}, {Name: "y", DType: "U8", Shape: []int64{0}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	src, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if _, err := family.Read(src, ""); !errors.As(err, new(*checkpoint.NoModelError)) {
		t.Errorf("without a configuration: %v", err)
	}
	config := filepath.Join(testmodel.Llama{Layers: 1}.Write(t), checkpoint.ConfigFile)
	if _, err := family.Read(src, config); !errors.As(err, new(*checkpoint.NoModelError)) {
		t.Errorf("with the configuration of a model that is not there: %v", err)
	}
}

// TestAttention reads the weights head by head and as a whole.
func TestAttention(t *testing.T) {
	m, err := read(t, testmodel.Llama{KVHeads: 2})
	if err != nil {
		t.Fatal(err)
	}
	a := m.Attention(1)
	whole := func(name string) []float64 {
		tensor := m.Source.Lookup(family.InLayer(1, name))
		values := make([]float64, tensor.Elements())
		if err := checkpoint.Read(tensor, 0, values); err != nil {
			t.Fatal(err)
		}
		return values
	}
	q, err := a.Query(2)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := q.At(3, 5), whole(family.QProj)[(2*8+3)*32+5]; got != want {
		t.Errorf("query row: %v, want %v", got, want)
	}
	kv, err := a.KeyValue()
	if err != nil {
		t.Fatal(err)
	}
	if r, c := kv.Dims(); r != 32 || c != 32 {
		t.Errorf("the stack is %d×%d, want 32×32", r, c)
	}
	if got, want := kv.At(16+9, 4), whole(family.VProj)[9*32+4]; got != want {
		t.Errorf("value row: %v, want %v", got, want)
	}
	o, err := a.OutputRows(10, 12)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := o.At(1, 7), whole(family.OProj)[11*32+7]; got != want {
		t.Errorf("output row: %v, want %v", got, want)
	}
}

func TestPoisonedWeights(t *testing.T) {
	m, err := read(t, testmodel.Llama{Poison: map[string]float64{"model.layers.0.self_attn.k_proj.weight": math.Inf(1)}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Attention(0).KeyValue()
	if !errors.As(err, new(*checkpoint.ValueError)) || !strings.Contains(err.Error(), `"model.layers.0.self_attn.k_proj.weight": +Inf at [0 0]`) {
		t.Errorf("got %v, want an error that names the infinite value", err)
	}
	if _, err := m.Attention(1).KeyValue(); err != nil {
		t.Errorf("a sound layer: %v", err)
	}
}

// TestConfigKeepsItsText: what nobody changes comes back as it was, constants
// that are not JSON included.
func TestConfigKeepsItsText(t *testing.T) {
	const text = "{\"b\": [1,\n 2.50], \"nan\": NaN, \"in\\\"f\": [-Infinity, \"NaN\"], \"gone\": 1, \"e\": 1e-05}"
	c, err := family.ParseConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	other := c.Clone()
	other.Set("b", 3)
	c.Set("new", []string{"x"})
	c.Set("one", 1.0)
	c.Set("eps", 1e-6)
	c.Set("n", 1)
	c.Delete("gone", "never there")
	const want = "{\n  \"b\": [1,\n 2.50],\n  \"nan\": NaN,\n  \"in\\\"f\": [-Infinity, \"NaN\"],\n  \"e\": 1e-05,\n  \"new\": [\"x\"],\n  \"one\": 1.0,\n  \"eps\": 1e-06,\n  \"n\": 1\n}\n"
	if got := string(c.Bytes()); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if _, err := family.ParseConfig(c.Bytes()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(string(other.Bytes()), `"b": 3`) {
		t.Error("the copy did not change")
	}
}

func TestConfigRefusals(t *testing.T) {
	for _, text := range []string{``, `[]`, `null`, `{"a":1,"a":2}`, `{"a":1}x`, `{"a":nan}`, `{"a":Infinityy}`, "{\"a\":\"\xff\"}"} {
		if _, err := family.ParseConfig([]byte(text)); err == nil {
			t.Errorf("%q was accepted, want an error", text)
		}
	}
}

func TestConfigWithConstants(t *testing.T) {
	dir := testmodel.Llama{}.Write(t)
	path := filepath.Join(dir, checkpoint.ConfigFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text []byte) error {
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
		src, err := checkpoint.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		_, err = family.Read(src, "")
		return err
	}
	if err := write(bytes.Replace(text, []byte("{"), []byte(`{"time_step_limit": [0.0, Infinity], `), 1)); err != nil {
		t.Error(err)
	}
	if err := write(bytes.Replace(text, []byte(`"rope_theta": 10000`), []byte(`"rope_theta": NaN`), 1)); err == nil || !strings.Contains(err.Error(), "rope_theta") {
		t.Errorf("a base of NaN: %v", err)
	}
}

// FuzzConfig feeds arbitrary text to the configuration reader: it never
// panics, and what it accepts it writes back as something it accepts.
func FuzzConfig(f *testing.F) {
	for _, seed := range []string{`{}`, `{"model_type":"llama","rope_theta":NaN}`, `{"a":[Infinity,-Infinity],"b":"\"NaN"}`, `{"a":{"a":1,"a":2}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := family.ParseConfig(text)
		if err != nil {
			return
		}
		again, err := family.ParseConfig(c.Bytes())
		if err != nil {
			t.Fatalf("does not read back: %v\n%s", err, c.Bytes())
		}
		if !bytes.Equal(again.Bytes(), c.Bytes()) {
			t.Error("changed on the way")
		}
		var v map[string]any
		if !bytes.Contains(text, []byte("NaN")) && !bytes.Contains(text, []byte("Infinity")) && json.Unmarshal(c.Bytes(), &v) != nil {
			t.Errorf("wrote what is not JSON: %s", c.Bytes())
		}
	})
}
