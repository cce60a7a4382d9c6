package engine_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
)

// sound is a model that all engines load, at sizes that most backends take.
func sound() testmodel.Llama {
	return testmodel.Llama{
		Hidden: 64, Intermediate: 64, Layers: 1, Heads: 2, Untied: true, DType: checkpoint.BF16, Eps: 1e-6,
		Latent: &testmodel.Latent{Rank: 512, RopeDims: 64, NopeDim: 128, ValueDim: 128, QRank: 64},
		Config: map[string]any{"torch_dtype": "bfloat16", "n_routed_experts": 2, "num_experts_per_tok": 1, "n_group": 1, "topk_group": 1},
	}
}

// artifact is what loaders see of a model.
func artifact(t *testing.T, m testmodel.Llama) *engine.Artifact {
	t.Helper()
	src, err := checkpoint.Open(m.Write(t))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	text, _, err := src.Config("")
	if err != nil {
		t.Fatal(err)
	}
	a := &engine.Artifact{}
	if a.Config, err = family.ParseConfig(text); err != nil {
		t.Fatal(err)
	}
	for _, x := range src.Tensors() {
		a.Tensors = append(a.Tensors, checkpoint.Spec{Name: x.Name, DType: x.DType, Shape: x.Shape})
	}
	return a
}

// judged lists, for every engine, the rules that a breaks: with a ! those at which it stops,
// and with a ~ those that it misreads. It leaves out what is always said of Ollama.
func judged(a *engine.Artifact) map[engine.Engine]string {
	all := make(map[engine.Engine]string)
	for _, v := range engine.Judge(a, engine.All.Each()) {
		var names []string
		for _, f := range v.Findings {
			switch {
			case f.Rule == "import":
				continue
			case f.Silent:
				f.Rule += "~"
			case f.Fatal:
				f.Rule += "!"
			}
			names = append(names, f.Rule)
		}
		all[v.Engine] = strings.Join(names, " ")
	}
	return all
}

// q is a bias for which Transformers has a place.
const q = "model.layers.0.self_attn.q_a_proj.bias"

var null = json.RawMessage("null")

// all names every engine, for by.
const all = "hf vllm sglang llama.cpp mlx-lm ollama"

// by takes engines and the rules that are broken in them, in turn.
func by(pairs ...string) map[engine.Engine]string {
	rules := make(map[engine.Engine]string)
	for i := 0; i < len(pairs); i += 2 {
		for _, e := range strings.Fields(pairs[i]) {
			rules[engine.Engine(e)] = pairs[i+1]
		}
	}
	return rules
}

// TestRules breaks one rule at a time. Engines that are not named load the model
// without a word.
func TestRules(t *testing.T) {
	config := func(kv ...any) func(*testmodel.Llama) {
		return func(m *testmodel.Llama) {
			for i := 0; i < len(kv); i += 2 {
				m.Config[kv[i].(string)] = kv[i+1]
			}
		}
	}
	extra := func(name string, dtype checkpoint.DType, kv ...any) func(*testmodel.Llama) {
		return func(m *testmodel.Llama) {
			m.Extra = append(m.Extra, checkpoint.Spec{Name: name, DType: dtype, Shape: []int64{2}})
			config(kv...)(m)
		}
	}
	yarn := func(more map[string]any) map[string]any {
		y := map[string]any{"type": "yarn", "factor": 4, "original_max_position_embeddings": 64, "mscale": 1.0, "mscale_all_dim": 1.0}
		maps.Copy(y, more)
		return y
	}
	for name, c := range map[string]struct {
		change func(*testmodel.Llama)
		want   map[engine.Engine]string
	}{
		"sound":                     {func(*testmodel.Llama) {}, nil},
		"another class":             {config("architectures", []string{"LlamaForCausalLM"}), by(all, "class!")},
		"another type":              {config("model_type", "deepseek_v2"), by(all, "class!")},
		"a DeepSeek-V2":             {config("model_type", "deepseek_v2", "architectures", []string{"DeepseekV2ForCausalLM"}), nil},
		"the reference's form":      {config("mha2mla", map[string]any{}), by(all, "class!")},
		"a size missing":            {config("kv_lora_rank", nil), by(all, "sizes!")},
		"a size of no sense":        {config("v_head_dim", -1), by(all, "sizes!")},
		"a size too large":          {config("qk_rope_head_dim", 1<<40), by(all, "sizes!")},
		"a size that is a word":     {config("hidden_size", "wide"), by(all, "sizes!")},
		"dense layers unknown":      {config("first_k_dense_replace", nil), by(all, "sizes!")},
		"dense layers null":         {config("first_k_dense_replace", null), by(all, "sizes!")},
		"layers beyond all":         {config("num_hidden_layers", 1<<20), by("hf sglang", "tensors~", "vllm llama.cpp ollama", "tensors!", "mlx-lm", "layers! tensors!")},
		"head_dim":                  {config("head_dim", 128), by("hf", "head_dim!")},
		"head_dim as HF writes it":  {config("head_dim", 64), nil},
		"grouped heads":             {config("num_key_value_heads", 1), by("hf llama.cpp ollama", "kv-heads!")},
		"heads as many":             {config("num_key_value_heads", null), nil},
		"not interleaved":           {config("rope_interleave", false), by("vllm sglang llama.cpp mlx-lm ollama", "rope_interleave~")},
		"interleaved":               {config("rope_interleave", true), nil},
		"llama3":                    {config("rope_scaling", map[string]any{"rope_type": "llama3", "factor": 8}), by("vllm sglang llama.cpp ollama", "rope_scaling~")},
		"longrope, new form":        {config("rope_parameters", map[string]any{"rope_type": "longrope"}), by("vllm sglang llama.cpp mlx-lm ollama", "rope_scaling~")},
		"yarn":                      {config("max_position_embeddings", 256, "rope_scaling", yarn(nil)), nil},
		"yarn, usual bounds":        {config("max_position_embeddings", 256, "rope_scaling", yarn(map[string]any{"beta_fast": 32, "beta_slow": 1})), nil},
		"yarn, other bounds":        {config("max_position_embeddings", 256, "rope_scaling", yarn(map[string]any{"beta_fast": 4})), by("llama.cpp ollama", "yarn")},
		"yarn, other factor":        {config("max_position_embeddings", 512, "rope_scaling", yarn(nil)), by("hf", "yarn")},
		"linear":                    {config("rope_scaling", map[string]any{"type": "linear", "factor": 2}), by("vllm sglang llama.cpp ollama", "rope_scaling~")},
		"a kind of no engine":       {config("rope_scaling", map[string]any{"type": "su", "factor": 2}), by("hf mlx-lm", "rope_scaling!", "vllm sglang llama.cpp ollama", "rope_scaling~")},
		"made for GGUF files":       {config("rope_scaling", map[string]any{"type": family.GGUFMark, "rope_type": family.GGUFMark}), by("hf mlx-lm", "rope_scaling!", "vllm sglang", "rope_scaling~")},
		"a kind of vLLM":            {config("rope_scaling", map[string]any{"type": "deepseek_yarn", "factor": 2}), by("hf", "rope_scaling!", "llama.cpp ollama", "rope_scaling~")},
		"no scaling, old form":      {config("rope_scaling", map[string]any{"rope_type": "default"}), by("hf vllm sglang", "rope_scaling")},
		"no scaling, new form":      {config("rope_parameters", map[string]any{"rope_type": "default", "rope_theta": 1e4}), nil},
		"experts null":              {config("n_routed_experts", null), by("hf vllm sglang llama.cpp ollama", "experts!")},
		"no experts":                {config("n_routed_experts", null, "num_experts_per_tok", nil, "n_group", nil), by("hf vllm sglang llama.cpp ollama", "experts!")},
		"none at all":               {config("n_routed_experts", null, "num_experts_per_tok", null, "n_group", null), by("hf vllm sglang", "experts!")},
		"one expert":                {config("n_routed_experts", 1), by("llama.cpp ollama", "experts!")},
		"experts of DeepSeek-V3":    {config("n_routed_experts", nil, "num_experts_per_tok", nil, "n_group", nil, "topk_group", nil), nil},
		"experts used unknown":      {config("num_experts_per_tok", nil), by("llama.cpp ollama", "experts!")},
		"groups unknown":            {config("n_group", nil), by("llama.cpp ollama", "experts!")},
		"groups of all experts":     {config("n_routed_experts", 4, "n_group", 2, "topk_group", 2), by("llama.cpp ollama", "experts!")},
		"groups":                    {config("n_routed_experts", 4, "n_group", 2), nil},
		"experts without tensors":   {config("first_k_dense_replace", 0), by("hf sglang", "tensors~", "vllm llama.cpp mlx-lm ollama", "tensors!")},
		"no content keys":           {func(m *testmodel.Llama) { m.Latent.NopeDim = 0 }, by("vllm", "kernel", "llama.cpp mlx-lm ollama", "nope!")},
		"odd rotary key":            {func(m *testmodel.Llama) { m.Latent.RopeDims = 63 }, by("hf llama.cpp mlx-lm ollama", "pairs!", "vllm sglang", "pairs! kernel")},
		"query not compressed":      {func(m *testmodel.Llama) { m.Latent.QRank = 0 }, by("llama.cpp ollama", "query!")},
		"query compressed to 0":     {func(m *testmodel.Llama) { m.Latent.QRank, m.Config["q_lora_rank"] = 0, 0 }, by("hf sglang", "query~", "vllm mlx-lm", "query!")},
		"27 layers, compressed":     {func(m *testmodel.Llama) { m.Layers = 27 }, by("llama.cpp ollama", "query!")},
		"27 layers":                 {func(m *testmodel.Llama) { m.Layers, m.Latent.QRank = 27, 0 }, nil},
		"gelu":                      {config("hidden_act", "gelu"), by("vllm sglang", "activation!", "llama.cpp mlx-lm ollama", "activation~")},
		"another ε":                 {func(m *testmodel.Llama) { m.Eps = 1e-5 }, by(all, "epsilon")},
		"made for vLLM":             {config("rms_norm_eps", 1e-5, family.LatentEpsKey, 1e-5), by("hf mlx-lm", "epsilon~")},
		"made for HF":               {config("rms_norm_eps", 1e-5, family.LatentEpsKey, 1e-6), by("vllm sglang llama.cpp ollama", "epsilon~")},
		"a rank of no kernel":       {func(m *testmodel.Llama) { m.Latent.Rank = 200 }, by("sglang", "kernel", "llama.cpp ollama", "blocks", "mlx-lm", "groups")},
		"heads of no kernel":        {func(m *testmodel.Llama) { m.Latent.NopeDim = 192 }, by("vllm", "kernel")},
		"62 layers":                 {func(m *testmodel.Llama) { m.Layers = 62 }, by("mlx-lm", "layers!")},
		"61 layers":                 {func(m *testmodel.Llama) { m.Layers = 61 }, nil},
		"a base elsewhere":          {config("rope_theta", nil, "rope_parameters", map[string]any{"rope_type": "default", "rope_theta": 1e5}), by("mlx-lm", "rope_theta~")},
		"a softmax router":          {config("scoring_func", "softmax", "first_k_dense_replace", 0), by("hf", "router~ tensors~", "vllm llama.cpp ollama", "tensors!", "sglang", "tensors~", "mlx-lm", "tensors! router~")},
		"a softmax without experts": {config("scoring_func", "softmax"), nil},
		"code":                      {config("auto_map", map[string]string{"a": "b"}), by("hf vllm sglang", "auto_map")},
		"quantised":                 {config("quantization_config", map[string]any{"quant_method": "fp8"}), by(all, "quantised")},
		"a bias":                    {extra(q, checkpoint.BF16), by("hf vllm sglang", "biases~", "llama.cpp mlx-lm ollama", "biases!")},
		"a bias that HF knows":      {config("attention_bias", true), by("vllm sglang", "biases~", "llama.cpp ollama", "biases!")},
		"a norm of queries":         {extra("model.layers.0.self_attn.q_norm.weight", checkpoint.BF16), by("hf sglang", "strangers~", "vllm llama.cpp mlx-lm ollama", "strangers!")},
		"another head":              {extra("value_head.weight", checkpoint.BF16), by("vllm llama.cpp mlx-lm ollama", "strangers!")},
		"old frequencies":           {extra("model.layers.0.self_attn.rotary_emb.inv_freq", checkpoint.F32), nil},
		"a layer more":              {extra("model.layers.1.eh_proj.weight", checkpoint.BF16, "num_nextn_predict_layers", 1), by("mlx-lm", "strangers!")},
		"a layer too many":          {extra("model.layers.1.eh_proj.weight", checkpoint.BF16), by("vllm mlx-lm", "strangers!")},
		"eight bits":                {extra("model.layers.0.self_attn.rotary_emb.inv_freq", "F8_E4M3"), by(all, "dtypes!")},
		"no head":                   {func(m *testmodel.Llama) { m.Untied = false; m.Config["tie_word_embeddings"] = false }, by("hf sglang", "head~", "vllm mlx-lm", "head!", "llama.cpp ollama", "head")},
		"a tied head":               {func(m *testmodel.Llama) { m.Untied = false }, by("vllm mlx-lm", "head!", "sglang", "head")},
		"a tied head, stored":       {config("tie_word_embeddings", true), by("hf sglang llama.cpp ollama", "head")},
		"a tensor missing":          {func(m *testmodel.Llama) { m.Without = map[string]struct{}{"model.norm.weight": {}} }, by("hf sglang", "tensors~", "vllm llama.cpp mlx-lm ollama", "tensors!")},
		"a tensor of other shape":   {config("intermediate_size", 9), by("hf vllm sglang llama.cpp ollama", "tensors!", "mlx-lm", "tensors! groups")},
		"float16":                   {func(m *testmodel.Llama) { m.DType = checkpoint.F16; m.Config["torch_dtype"] = "float16" }, by(all, "float16")},
		"float32":                   {config("torch_dtype", "float32"), by("vllm sglang", "float32")},
		"a dtype unknown":           {config("torch_dtype", nil), by("vllm sglang", "float32")},
	} {
		t.Run(name, func(t *testing.T) {
			m := sound()
			c.change(&m)
			for e, got := range judged(artifact(t, m)) {
				if got != c.want[e] {
					t.Errorf("%s: %q, want %q", e, got, c.want[e])
				}
			}
		})
	}
}

// TestYarn: engines agree on yarn where it says all that they read, and as measured
// in them, not where it leaves out what each takes otherwise.
func TestYarn(t *testing.T) {
	for name, c := range map[string]struct {
		members map[string]any
		wrong   string // engines
	}{
		"as in DeepSeek-V3":         {map[string]any{"mscale": 1.0, "mscale_all_dim": 1.0}, ""},
		"as in DeepSeek-V2":         {map[string]any{"mscale": 0.707, "mscale_all_dim": 0.707}, ""},
		"the same, said twice":      {map[string]any{"mscale": 1.0, "mscale_all_dim": 1.0, "attention_factor": 1.0}, ""},
		"one more than the other":   {map[string]any{"mscale": 1.0, "mscale_all_dim": 0.707}, "llama.cpp ollama"},
		"nothing said":              {nil, "llama.cpp ollama"},
		"mscale alone":              {map[string]any{"mscale": 1.0}, "llama.cpp ollama"},
		"mscale_all_dim alone":      {map[string]any{"mscale_all_dim": 1.0}, "vllm sglang llama.cpp mlx-lm ollama"},
		"none of either":            {map[string]any{"mscale": 0.0, "mscale_all_dim": 0.0}, "vllm sglang llama.cpp mlx-lm ollama"},
		"of one none":               {map[string]any{"mscale": 0.0, "mscale_all_dim": 1.0}, "vllm sglang llama.cpp mlx-lm ollama"},
		"a factor of its own":       {map[string]any{"attention_factor": 1.0}, "vllm sglang llama.cpp mlx-lm ollama"},
		"no stretch, nothing to do": {map[string]any{"factor": 1.0}, ""},
	} {
		m := sound()
		members := map[string]any{"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
		maps.Copy(members, c.members)
		m.Config["rope_scaling"], m.Config["max_position_embeddings"] = members, 32*members["factor"].(float64)
		for e, got := range judged(artifact(t, m)) {
			if want := by(c.wrong, "rope_scaling~")[e]; got != want {
				t.Errorf("%s: %s: %q, want %q", name, e, got, want)
			}
		}
	}
}

// TestFolder: what lies beside the weights counts, too.
func TestFolder(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*engine.Artifact)
		want   map[engine.Engine]string
	}{
		"a file":        {func(a *engine.Artifact) { a.Lone = true }, by(all, "folder")},
		"no format":     {func(a *engine.Artifact) { a.Unmarked = "x.safetensors" }, by("hf", "format!")},
		"SentencePiece": {func(a *engine.Artifact) { a.Files = []string{"config.json", "tokenizer.model"} }, by(all, "tokenizer")},
		"both forms":    {func(a *engine.Artifact) { a.Files = []string{"tokenizer.json", "tokenizer.model"} }, by("llama.cpp ollama", "tokenizer")},
		"fast":          {func(a *engine.Artifact) { a.Files = []string{"config.json", "tokenizer.json"} }, nil},
		"a pointer":     {func(a *engine.Artifact) { a.Amiss = map[string]string{"tokenizer.json": "empty"} }, by(all, "tokenizer!")},
		"code lost":     {func(a *engine.Artifact) { a.Code = []string{"tokenization.py"} }, by("hf vllm sglang mlx-lm", "tokenizer")},
		"code there":    {func(a *engine.Artifact) { a.Code, a.Files = []string{"tokenization.py"}, []string{"tokenization.py"} }, nil},
	} {
		a := artifact(t, sound())
		c.change(a)
		for e, got := range judged(a) {
			if got != c.want[e] {
				t.Errorf("%s: %s: %q, want %q", name, e, got, c.want[e])
			}
		}
	}
}

// TestImport: Ollama's own import is none of a GGUF file.
func TestImport(t *testing.T) {
	for _, packed := range []bool{false, true} {
		a := artifact(t, sound())
		a.GGUF = packed
		findings := engine.Judge(a, []engine.Engine{engine.Ollama})[0].Findings
		if imports := slices.ContainsFunc(findings, func(f engine.Finding) bool { return f.Rule == "import" }); imports == packed {
			t.Errorf("a GGUF file: %v, its own import: %v", packed, imports)
		}
	}
}

// TestAmiss tells a file that is what its name says from one that is not.
func TestAmiss(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"tokenizer.json":        {`{"version": "1.0"}`, ""},
		"tokenizer.model":       {"\n\x0e\n\x05<unk>", ""},
		"merges.txt":            {"<!doctype html>", ""}, // prose may be anything
		"added_tokens.json":     {"{}", ""},
		"vocab.json":            {"", "empty"},
		"tokenizer.bpe":         {"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"},
		"spiece.model":          {"<!DOCTYPE html><html>", "an HTML page"},
		"tokenizer_config.json": {`{"a": `, "not valid JSON"},
	} {
		if got := engine.Amiss(name, []byte(c.text)); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s is %q, want %q", name, got, c.want)
		}
	}
}

// TestConstants: what Python writes for numbers that JSON has not does not get in
// the way.
func TestConstants(t *testing.T) {
	a := artifact(t, sound())
	text := strings.Replace(string(a.Config.Bytes()), "{", `{"time_step_limit": [0.0, Infinity], "x": NaN,`, 1)
	var err error
	if a.Config, err = family.ParseConfig([]byte(text)); err != nil {
		t.Fatal(err)
	}
	for e, got := range judged(a) {
		if got != "" {
			t.Errorf("%s: breaks %q, want no broken rule", e, got)
		}
	}
}

// TestRouters: of the ways to weigh experts, every engine has its own.
func TestRouters(t *testing.T) {
	const v2, v3 = "DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"
	sigmoid := family.MoE{Experts: 8, Chosen: 2, Width: 64, Shared: 64, First: 1, Score: family.Sigmoid, Bias: true, Renorm: true, Scale: 2.5}
	plain := family.MoE{Experts: 8, Chosen: 2, Width: 64, Shared: 64, First: 1, Score: family.Softmax, Scale: 1}
	for name, c := range map[string]struct {
		class string
		moe   family.MoE
		edit  map[string]any
		want  map[engine.Engine]string
	}{
		"V3, sigmoids":            {v3, sigmoid, nil, nil},
		"V2, a softmax":           {v2, plain, nil, nil},
		"V3, a softmax":           {v3, renormed(plain), nil, by("hf", "router~", "mlx-lm", "router! router~")},
		"V2, a softmax normed":    {v2, renormed(plain), nil, by("hf mlx-lm", "router~")},
		"V2, sigmoids":            {v2, plain, map[string]any{"scoring_func": "sigmoid"}, by("hf mlx-lm", "router~")},
		"V2, a method of another": {v2, plain, map[string]any{"topk_method": "noaux_tc"}, by("hf", "router!")},
		"none shared, 0":          {v3, sigmoid, map[string]any{"n_shared_experts": 0}, by("llama.cpp ollama", "shared!")},
		"none shared, null":       {v3, sigmoid, map[string]any{"n_shared_experts": null}, by("hf vllm sglang llama.cpp ollama", "shared!")},
	} {
		t.Run(name, func(t *testing.T) {
			m := sound()
			m.Layers, m.Experts = 2, &c.moe
			for _, key := range []string{"n_routed_experts", "num_experts_per_tok"} {
				delete(m.Config, key)
			}
			if c.class == v2 {
				m.Config["architectures"], m.Config["model_type"] = []string{v2}, "deepseek_v2"
			}
			maps.Copy(m.Config, c.edit)
			got := judged(artifact(t, m))
			for _, e := range engine.All.Each() {
				if got[e] != c.want[e] {
					t.Errorf("%s breaks %q, want %q", e, got[e], c.want[e])
				}
			}
		})
	}
}

// renormed returns m with the weights of the chosen experts normed.
func renormed(m family.MoE) family.MoE { m.Renorm = true; return m }

// TestExperts: of layers with experts, only the gate is looked for.
func TestExperts(t *testing.T) {
	m := sound()
	m.Config["first_k_dense_replace"] = 0
	m.Without = map[string]struct{}{}
	for _, name := range []string{family.GateProj, family.UpProj, family.DownProj} {
		m.Without[family.InLayer(0, name)] = struct{}{}
	}
	m.Extra = []checkpoint.Spec{{Name: "model.layers.0.mlp.gate.weight", DType: checkpoint.BF16, Shape: []int64{2, 64}}}
	for e, got := range judged(artifact(t, m)) {
		if got != "" {
			t.Errorf("%s: breaks %q, want no broken rule", e, got)
		}
	}
}

// TestQuantised: of a quantised model nothing is said but that it is one.
func TestQuantised(t *testing.T) {
	m := sound()
	m.Config["quantization_config"] = map[string]any{"quant_method": "gptq"}
	name := family.InLayer(0, family.KVBProj)
	m.Without = map[string]struct{}{name: {}}
	m.Extra = []checkpoint.Spec{{Name: strings.TrimSuffix(name, "weight") + "qweight", DType: "I32", Shape: []int64{2, 16}}}
	for e, got := range judged(artifact(t, m)) {
		if got != "quantised" {
			t.Errorf("%s: breaks %q, want quantised alone", e, got)
		}
	}
}

// TestFindings: every finding says what, and what is fatal comes first.
func TestFindings(t *testing.T) {
	m := sound()
	m.Latent.QRank, m.Latent.Rank = 0, 100
	m.Config["rope_interleave"] = false
	for _, v := range engine.Judge(artifact(t, m), engine.All.Each()) {
		want := engine.Misreads // the wrong pairs
		switch {
		case v.Engine == engine.HF:
			want = engine.Loads
		case v.Engine.RunsGGUF():
			want = engine.Refuses // the query, which counts more
		}
		if v.Status() != want || v.Loads != (want == engine.Loads) {
			t.Errorf("%s: %s, want %s", v.Engine, v.Status(), want)
		}
		if !slices.IsSortedFunc(v.Findings, func(a, b engine.Finding) int {
			if !a.Fatal && b.Fatal {
				return 1
			}
			return 0
		}) {
			t.Errorf("%s: got %v, want the fatal findings first", v.Engine, v.Findings)
		}
		for _, f := range v.Findings {
			if f.What == "" || strings.HasSuffix(f.What, ".") || strings.HasSuffix(f.Do.String(), ".") {
				t.Errorf("%s: got %+v, want words without a full stop", v.Engine, f)
			}
		}
	}
}

// FuzzJudge feeds arbitrary configurations: every engine gets a verdict, and what
// does not load has a reason.
func FuzzJudge(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"architectures":["DeepseekV3ForCausalLM"],"model_type":"deepseek_v3"}`,
		`{"architectures":["DeepseekV3ForCausalLM"],"model_type":"deepseek_v3","hidden_size":1,"intermediate_size":1,"num_hidden_layers":1,
		"num_attention_heads":1,"num_key_value_heads":1,"vocab_size":1,"kv_lora_rank":1,"qk_nope_head_dim":1,"qk_rope_head_dim":2,
		"v_head_dim":1,"first_k_dense_replace":1,"q_lora_rank":null,"rope_scaling":{"type":3},"head_dim":[]}`,
	} {
		f.Add([]byte(seed), "model.layers.0.self_attn.o_proj.weight")
	}
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		config, err := family.ParseConfig(text)
		if err != nil {
			return
		}
		a := &engine.Artifact{Config: config, Tensors: []checkpoint.Spec{{Name: name, DType: checkpoint.F32, Shape: []int64{1, 1}}}}
		verdicts := engine.Judge(a, engine.All.Each())
		if len(verdicts) != 6 {
			t.Fatalf("got %d verdicts, want one of each of 6 engines", len(verdicts))
		}
		for _, v := range verdicts {
			if !v.Loads && (len(v.Findings) == 0 || v.Findings[0].What == "") {
				t.Errorf("%s: no reason", v.Engine)
			}
		}
	})
}
