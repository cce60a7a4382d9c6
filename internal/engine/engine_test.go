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

// sound is a model that all engines load, at the size of a GPU kernel.
func sound() testmodel.Llama {
	return testmodel.Llama{
		Hidden: 16, Intermediate: 8, Layers: 1, Heads: 1, Untied: true, DType: checkpoint.BF16, Eps: 1e-6,
		Latent: &testmodel.Latent{Rank: 256, RopeDims: 64, NopeDim: 128, ValueDim: 128, QRank: 16},
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

// judged lists, for every engine, the rules that a breaks, fatal ones with a !.
func judged(a *engine.Artifact) map[engine.Engine]string {
	all := make(map[engine.Engine]string)
	for _, v := range engine.Judge(a, engine.All.Each()) {
		var names []string
		for _, f := range v.Findings {
			if f.Fatal {
				f.Rule += "!"
			}
			names = append(names, f.Rule)
		}
		all[v.Engine] = strings.Join(names, " ")
	}
	return all
}

const (
	hf, vllm, sglang, llama = engine.HF, engine.VLLM, engine.SGLang, engine.LlamaCPP
	q                       = "model.layers.0.self_attn.q_a_proj.bias"
)

var null = json.RawMessage("null")

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
	each := func(text string) map[engine.Engine]string {
		return map[engine.Engine]string{hf: text, vllm: text, sglang: text, llama: text}
	}
	but := func(all map[engine.Engine]string, e engine.Engine, text string) map[engine.Engine]string {
		all = maps.Clone(all)
		if all[e] = text; text == "" {
			delete(all, e)
		}
		return all
	}
	yarn := func(more map[string]any) map[string]any {
		y := map[string]any{"type": "yarn", "factor": 4, "original_max_position_embeddings": 64, "mscale": 1.0, "mscale_all_dim": 1.0}
		maps.Copy(y, more)
		return y
	}
	gpu := func(text string) map[engine.Engine]string { return map[engine.Engine]string{vllm: text, sglang: text} }
	for name, c := range map[string]struct {
		change func(*testmodel.Llama)
		want   map[engine.Engine]string
	}{
		"sound":                    {func(*testmodel.Llama) {}, nil},
		"another class":            {config("architectures", []string{"LlamaForCausalLM"}), each("class!")},
		"another type":             {config("model_type", "deepseek_v2"), each("class!")},
		"the reference's form":     {config("mha2mla", map[string]any{}), each("class!")},
		"a size missing":           {config("kv_lora_rank", nil), each("sizes!")},
		"a size of no sense":       {config("v_head_dim", -1), each("sizes!")},
		"a size too large":         {config("qk_rope_head_dim", 1<<40), each("sizes!")},
		"a size that is a word":    {config("hidden_size", "wide"), each("sizes!")},
		"dense layers unknown":     {config("first_k_dense_replace", nil), each("sizes!")},
		"dense layers null":        {config("first_k_dense_replace", null), each("sizes!")},
		"layers beyond all":        {config("num_hidden_layers", 1<<20), each("tensors!")},
		"head_dim":                 {config("head_dim", 128), map[engine.Engine]string{hf: "head_dim!"}},
		"head_dim as HF writes it": {config("head_dim", 64), nil},
		"grouped heads":            {config("num_key_value_heads", 2), map[engine.Engine]string{hf: "kv-heads!", llama: "kv-heads!"}},
		"heads as many":            {config("num_key_value_heads", null), nil},
		"not interleaved":          {config("rope_interleave", false), but(each("rope_interleave!"), hf, "")},
		"interleaved":              {config("rope_interleave", true), nil},
		"llama3":                   {config("rope_scaling", map[string]any{"rope_type": "llama3", "factor": 8}), but(each("rope_scaling!"), hf, "")},
		"longrope, new form":       {config("rope_parameters", map[string]any{"rope_type": "longrope"}), but(each("rope_scaling!"), hf, "")},
		"yarn":                     {config("max_position_embeddings", 256, "rope_scaling", yarn(nil)), nil},
		"yarn, usual bounds":       {config("max_position_embeddings", 256, "rope_scaling", yarn(map[string]any{"beta_fast": 32, "beta_slow": 1})), nil},
		"yarn, other bounds":       {config("max_position_embeddings", 256, "rope_scaling", yarn(map[string]any{"beta_fast": 4})), map[engine.Engine]string{llama: "yarn"}},
		"yarn, other factor":       {config("max_position_embeddings", 512, "rope_scaling", yarn(nil)), map[engine.Engine]string{hf: "yarn"}},
		"linear":                   {config("rope_scaling", map[string]any{"type": "linear", "factor": 2}), but(each("rope_scaling!"), hf, "")},
		"a kind of no engine":      {config("rope_scaling", map[string]any{"type": "su", "factor": 2}), each("rope_scaling!")},
		"a kind of vLLM":           {config("rope_scaling", map[string]any{"type": "deepseek_yarn", "factor": 2}), map[engine.Engine]string{hf: "rope_scaling!", llama: "rope_scaling!"}},
		"no scaling, old form":     {config("rope_scaling", map[string]any{"rope_type": "default"}), but(each("rope_scaling"), llama, "")},
		"no scaling, new form":     {config("rope_parameters", map[string]any{"rope_type": "default", "rope_theta": 1e4}), nil},
		"experts null":             {config("n_routed_experts", null), each("experts!")},
		"no experts":               {config("n_routed_experts", null, "num_experts_per_tok", nil, "n_group", nil), each("experts!")},
		"none at all":              {config("n_routed_experts", null, "num_experts_per_tok", null, "n_group", null), but(each("experts!"), llama, "")},
		"one expert":               {config("n_routed_experts", 1), map[engine.Engine]string{llama: "experts!"}},
		"experts of DeepSeek-V3":   {config("n_routed_experts", nil, "num_experts_per_tok", nil, "n_group", nil, "topk_group", nil), nil},
		"experts used unknown":     {config("num_experts_per_tok", nil), map[engine.Engine]string{llama: "experts!"}},
		"groups unknown":           {config("n_group", nil), map[engine.Engine]string{llama: "experts!"}},
		"groups of all experts":    {config("n_routed_experts", 4, "n_group", 2, "topk_group", 2), map[engine.Engine]string{llama: "experts!"}},
		"groups":                   {config("n_routed_experts", 4, "n_group", 2), nil},
		"experts without tensors":  {config("first_k_dense_replace", 0), each("tensors!")},
		"no content keys":          {func(m *testmodel.Llama) { m.Latent.NopeDim = 0 }, but(gpu("kernel"), llama, "nope!")},
		"odd rotary key":           {func(m *testmodel.Llama) { m.Latent.RopeDims = 63 }, map[engine.Engine]string{hf: "pairs!", vllm: "pairs! kernel", sglang: "pairs! kernel", llama: "pairs!"}},
		"query not compressed":     {func(m *testmodel.Llama) { m.Latent.QRank = 0 }, map[engine.Engine]string{llama: "query!"}},
		"27 layers, compressed":    {func(m *testmodel.Llama) { m.Layers = 27 }, map[engine.Engine]string{llama: "query!"}},
		"27 layers":                {func(m *testmodel.Llama) { m.Layers, m.Latent.QRank = 27, 0 }, nil},
		"gelu":                     {config("hidden_act", "gelu"), but(each("activation!"), hf, "")},
		"another ε":                {func(m *testmodel.Llama) { m.Eps = 1e-5 }, each("epsilon")},
		"made for vLLM":            {config("rms_norm_eps", 1e-5, family.LatentEpsKey, 1e-5), map[engine.Engine]string{hf: "epsilon!"}},
		"made for HF":              {config("rms_norm_eps", 1e-5, family.LatentEpsKey, 1e-6), but(each("epsilon!"), hf, "")},
		"no kernel":                {func(m *testmodel.Llama) { m.Latent.Rank = 200 }, gpu("kernel")},
		"no kernel so large":       {func(m *testmodel.Llama) { m.Latent.Rank = 600 }, gpu("kernel")},
		"code":                     {config("auto_map", map[string]string{"a": "b"}), but(each("auto_map"), llama, "")},
		"quantised":                {config("quantization_config", map[string]any{"quant_method": "fp8"}), each("quantised")},
		"a bias":                   {extra(q, checkpoint.BF16), each("biases!")},
		"a bias that HF knows":     {config("attention_bias", true), but(each("biases!"), hf, "")},
		"a norm of queries":        {extra("model.layers.0.self_attn.q_norm.weight", checkpoint.BF16), each("strangers!")},
		"another head":             {extra("value_head.weight", checkpoint.BF16), map[engine.Engine]string{vllm: "strangers!", llama: "strangers!"}},
		"old frequencies":          {extra("model.layers.0.self_attn.rotary_emb.inv_freq", checkpoint.F32), nil},
		"a layer more":             {extra("model.layers.1.eh_proj.weight", checkpoint.BF16, "num_nextn_predict_layers", 1), nil},
		"a layer too many":         {extra("model.layers.1.eh_proj.weight", checkpoint.BF16), map[engine.Engine]string{vllm: "strangers!"}},
		"eight bits":               {extra("model.layers.0.self_attn.rotary_emb.inv_freq", "F8_E4M3"), each("dtypes!")},
		"no head":                  {func(m *testmodel.Llama) { m.Untied = false; m.Config["tie_word_embeddings"] = false }, but(each("head!"), llama, "head")},
		"a tied head":              {func(m *testmodel.Llama) { m.Untied = false }, map[engine.Engine]string{vllm: "head!", sglang: "head"}},
		"a tied head, stored":      {config("tie_word_embeddings", true), but(each("head"), vllm, "")},
		"a tensor missing":         {func(m *testmodel.Llama) { m.Without = map[string]struct{}{"model.norm.weight": {}} }, each("tensors!")},
		"a tensor of other shape":  {config("intermediate_size", 9), each("tensors!")},
		"float16":                  {func(m *testmodel.Llama) { m.DType = checkpoint.F16; m.Config["torch_dtype"] = "float16" }, each("float16")},
		"float32":                  {config("torch_dtype", "float32"), gpu("float32")},
		"a dtype unknown":          {config("torch_dtype", nil), gpu("float32")},
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
		wrong   []engine.Engine
	}{
		"as in DeepSeek-V3":         {map[string]any{"mscale": 1.0, "mscale_all_dim": 1.0}, nil},
		"as in DeepSeek-V2":         {map[string]any{"mscale": 0.707, "mscale_all_dim": 0.707}, nil},
		"the same, said twice":      {map[string]any{"mscale": 1.0, "mscale_all_dim": 1.0, "attention_factor": 1.0}, nil},
		"one more than the other":   {map[string]any{"mscale": 1.0, "mscale_all_dim": 0.707}, []engine.Engine{llama}},
		"nothing said":              {nil, []engine.Engine{llama}},
		"mscale alone":              {map[string]any{"mscale": 1.0}, []engine.Engine{llama}},
		"mscale_all_dim alone":      {map[string]any{"mscale_all_dim": 1.0}, []engine.Engine{vllm, sglang, llama}},
		"none of either":            {map[string]any{"mscale": 0.0, "mscale_all_dim": 0.0}, []engine.Engine{vllm, sglang, llama}},
		"of one none":               {map[string]any{"mscale": 0.0, "mscale_all_dim": 1.0}, []engine.Engine{vllm, sglang, llama}},
		"a factor of its own":       {map[string]any{"attention_factor": 1.0}, []engine.Engine{vllm, sglang, llama}},
		"no stretch, nothing to do": {map[string]any{"factor": 1.0}, nil},
	} {
		m := sound()
		members := map[string]any{"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
		maps.Copy(members, c.members)
		m.Config["rope_scaling"], m.Config["max_position_embeddings"] = members, 32*members["factor"].(float64)
		for e, got := range judged(artifact(t, m)) {
			want := ""
			if slices.Contains(c.wrong, e) {
				want = "rope_scaling!"
			}
			if got != want {
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
		"a file":        {func(a *engine.Artifact) { a.Lone = true }, map[engine.Engine]string{hf: "folder", vllm: "folder", sglang: "folder", llama: "folder"}},
		"no format":     {func(a *engine.Artifact) { a.Unmarked = "x.safetensors" }, map[engine.Engine]string{hf: "format!"}},
		"SentencePiece": {func(a *engine.Artifact) { a.Files = []string{"config.json", "tokenizer.model"} }, map[engine.Engine]string{llama: "tokenizer"}},
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

// TestExperts: of layers with experts, only the gate is looked for.
func TestExperts(t *testing.T) {
	m := sound()
	m.Config["first_k_dense_replace"] = 0
	m.Without = map[string]struct{}{}
	for _, name := range []string{family.GateProj, family.UpProj, family.DownProj} {
		m.Without[family.InLayer(0, name)] = struct{}{}
	}
	m.Extra = []checkpoint.Spec{{Name: "model.layers.0.mlp.gate.weight", DType: checkpoint.BF16, Shape: []int64{2, 16}}}
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
		if v.Loads != (v.Engine == engine.HF) {
			t.Errorf("%s: loads it: %v, want that Transformers alone does", v.Engine, v.Loads)
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
		if len(verdicts) != 4 {
			t.Fatalf("got %d verdicts, want one of each of 4 engines", len(verdicts))
		}
		for _, v := range verdicts {
			if !v.Loads && (len(v.Findings) == 0 || v.Findings[0].What == "") {
				t.Errorf("%s: no reason", v.Engine)
			}
		}
	})
}
