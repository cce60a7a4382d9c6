package forward

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/f32"
)

// published is the forward pass of a family in float64, one number at a time, by
// the names and the configuration of its own checkpoints. It knows neither the
// canonical names nor what the program makes of a configuration.
type published struct {
	naive
	kind   string
	config struct {
		Hidden    int     `json:"hidden_size"`
		Layers    int     `json:"num_hidden_layers"`
		Heads     int     `json:"num_attention_heads"`
		KVHeads   int     `json:"num_key_value_heads"`
		HeadDim   int     `json:"head_dim"`
		Positions float64 `json:"max_position_embeddings"`
		Eps       float64 `json:"rms_norm_eps"`
		Theta     float64 `json:"rope_theta"`
		Tied      bool    `json:"tie_word_embeddings"`
		Window    int     `json:"sliding_window"`
		UseWindow bool    `json:"use_sliding_window"`
		Full      int     `json:"max_window_layers"`
		Embedding float64 `json:"embedding_multiplier"`
		Attention float64 `json:"attention_multiplier"`
		Residual  float64 `json:"residual_multiplier"`
		Logits    float64 `json:"logits_scaling"`

		ScaleEmb   float64 `json:"scale_emb"`
		ScaleDepth float64 `json:"scale_depth"`
		ModelBase  float64 `json:"dim_model_base"`

		Rope *struct {
			Kind     string  `json:"rope_type"`
			Factor   float64 `json:"factor"`
			Low      float64 `json:"low_freq_factor"`
			High     float64 `json:"high_freq_factor"`
			Original float64 `json:"original_max_position_embeddings"`
		} `json:"rope_scaling"`
	}
}

func newPublished(t *testing.T, kind, dir string) *published {
	t.Helper()
	p := &published{kind: kind, naive: *newNaive(t, testmodel.Open(t, dir))}
	text, err := os.ReadFile(filepath.Join(dir, checkpoint.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &p.config); err != nil {
		t.Fatal(err)
	}
	switch c := &p.config; kind {
	case "minicpm":
		c.Embedding, c.Residual, c.Logits = c.ScaleEmb, c.ScaleDepth/math.Sqrt(float64(c.Layers)), float64(c.Hidden)/c.ModelBase
	case "exaone": // modeling_exaone.py of LGAI-EXAONE has a Llama under these names
		names := strings.NewReplacer("transformer.h.", "model.layers.", "transformer.wte", "model.embed_tokens", "transformer.ln_f", "model.norm", "ln_1", "input_layernorm",
			"ln_2", "post_attention_layernorm", "attn.attention.out_proj", "self_attn.o_proj", "attn.attention", "self_attn", "c_fc_0", "gate_proj", "c_fc_1", "up_proj", "c_proj", "down_proj")
		for name, values := range p.weights {
			p.weights[names.Replace(name)] = values
		}
	}
	return p
}

// normed is RMSNorm; Gemma's weights are what is above 1.
func (p *published) normed(name string, x []float64) []float64 {
	y := make([]float64, len(x))
	square := 0.0
	for _, v := range x {
		square += v * v
	}
	for i, v := range x {
		weight := p.weights[name][i]
		if p.kind == "gemma" {
			weight++
		}
		y[i] = v / math.Sqrt(square/float64(len(x))+p.config.Eps) * weight
	}
	return y
}

// qkv returns queries, keys and values of one token, heads one after the other.
func (p *published) qkv(layer string, x []float64) (q, k, v []float64) {
	c := p.config
	D, group := c.HeadDim, c.Heads/c.KVHeads
	switch p.kind {
	case "phi3":
		all := p.linear(layer+"self_attn.qkv_proj.weight", x)
		return all[:c.Heads*D], all[c.Heads*D : (c.Heads+c.KVHeads)*D], all[(c.Heads+c.KVHeads)*D:]
	case "internlm2": // viewed as [KV heads, queries of the group + 2, D]
		all := p.linear(layer+"attention.wqkv.weight", x)
		for g := range c.KVHeads {
			part := all[g*(group+2)*D : (g+1)*(group+2)*D]
			q, k, v = append(q, part[:group*D]...), append(k, part[group*D:(group+1)*D]...), append(v, part[(group+1)*D:]...)
		}
		return q, k, v
	}
	q, k, v = p.linear(layer+"self_attn.q_proj.weight", x), p.linear(layer+"self_attn.k_proj.weight", x), p.linear(layer+"self_attn.v_proj.weight", x)
	if p.kind == "qwen3" { // each head is normed by itself
		for at := 0; at < len(q); at += D {
			copy(q[at:], p.normed(layer+"self_attn.q_norm.weight", q[at:at+D]))
		}
		for at := 0; at < len(k); at += D {
			copy(k[at:], p.normed(layer+"self_attn.k_norm.weight", k[at:at+D]))
		}
	}
	return q, k, v
}

// frequency is that of rotary pair i.
func (p *published) frequency(i int) float64 {
	omega := math.Pow(p.config.Theta, -2*float64(i)/float64(p.config.HeadDim))
	r := p.config.Rope
	if r == nil {
		return omega
	}
	wavelength := 2 * math.Pi / omega
	switch r.Kind {
	case "linear":
		return omega / r.Factor
	case "llama3":
		switch {
		case wavelength < r.Original/r.High:
			return omega
		case wavelength > r.Original/r.Low:
			return omega / r.Factor
		}
		smooth := (r.Original/wavelength - r.Low) / (r.High - r.Low)
		return (1-smooth)*omega/r.Factor + smooth*omega
	case "yarn":
		dimension := func(rotations float64) float64 {
			return float64(p.config.HeadDim) * math.Log(r.Original/(rotations*2*math.Pi)) / (2 * math.Log(p.config.Theta))
		}
		low, high := max(0, math.Floor(dimension(32))), min(float64(p.config.HeadDim-1), math.Ceil(dimension(1)))
		ramp := min(1, max(0, (float64(i)-low)/(high-low)))
		return omega/r.Factor*ramp + omega*(1-ramp)
	}
	return omega // dynamic, within max_position_embeddings
}

// scale is what scores are multiplied with.
func (p *published) scale() float64 {
	scale := 1 / math.Sqrt(float64(p.config.HeadDim))
	if p.kind == "granite" {
		scale = p.config.Attention
	}
	if r := p.config.Rope; r != nil && r.Kind == "yarn" { // cos and sin are multiplied, of queries and of keys
		scale *= math.Pow(0.1*math.Log(r.Factor)+1, 2)
	}
	return scale
}

// mlp is the gated MLP.
func (p *published) mlp(layer string, x []float64) []float64 {
	if p.kind == "deepseek" {
		return p.naive.mlp(layer, x)
	}
	var gate, up []float64
	down := layer + "mlp.down_proj.weight"
	switch p.kind {
	case "phi3":
		both := p.linear(layer+"mlp.gate_up_proj.weight", x)
		gate, up = both[:len(both)/2], both[len(both)/2:]
	case "internlm2":
		gate, up, down = p.linear(layer+"feed_forward.w1.weight", x), p.linear(layer+"feed_forward.w3.weight", x), layer+"feed_forward.w2.weight"
	default:
		gate, up = p.linear(layer+"mlp.gate_proj.weight", x), p.linear(layer+"mlp.up_proj.weight", x)
	}
	for i, g := range gate {
		act := g / (1 + math.Exp(-g))
		if p.kind == "gemma" {
			act = g / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(g+0.044715*g*g*g)))
		}
		gate[i] = act * up[i]
	}
	return p.linear(down, gate)
}

// attention mixes the values of the past for the token at position t.
func (p *published) attention(layer int, q []float64, keys, values [][]float64, t int) []float64 {
	c := p.config
	D, first := c.HeadDim, 0
	if c.Window > 0 && (p.kind == "mistral" || p.kind == "phi3" || c.UseWindow && layer >= c.Full) {
		first = max(0, t-c.Window+1)
	}
	mixed := make([]float64, c.Heads*D)
	for h := range c.Heads {
		g := h / (c.Heads / c.KVHeads)
		scores, sum := make([]float64, t+1), 0.0
		for s := first; s <= t; s++ {
			for i := range D {
				scores[s] += q[h*D+i] * keys[s][g*D+i]
			}
			scores[s] = math.Exp(scores[s] * p.scale())
			sum += scores[s]
		}
		for s := first; s <= t; s++ {
			for i := range D {
				mixed[h*D+i] += scores[s] / sum * values[s][g*D+i]
			}
		}
	}
	return mixed
}

// rotate turns all heads of a token at position t.
func (p *published) rotate(x []float64, t int) {
	D := p.config.HeadDim
	for at := 0; at < len(x); at += D {
		for i := range D / 2 {
			sin, cos := math.Sincos(float64(t) * p.frequency(i))
			a, b := x[at+i], x[at+i+D/2]
			x[at+i], x[at+i+D/2] = a*cos-b*sin, a*sin+b*cos
		}
	}
}

// multiplied is x times factor, which is 1 if it is not there.
func multiplied(x []float64, factor float64) []float64 {
	y := clone(x)
	for i := range y {
		y[i] *= cmp.Or(factor, 1)
	}
	return y
}

// run returns the logits of one sequence.
func (p *published) run(tokens []int) [][]float64 {
	c := p.config
	embedding, head, inputNorm, mlpNorm, output := "model.embed_tokens.weight", "lm_head.weight", "input_layernorm.weight", "post_attention_layernorm.weight", "self_attn.o_proj"
	if p.kind == "internlm2" {
		embedding, head, inputNorm, mlpNorm, output = "model.tok_embeddings.weight", "output.weight", "attention_norm.weight", "ffn_norm.weight", "attention.wo"
	}
	if c.Tied {
		head = embedding
	}
	stream := make([][]float64, len(tokens))
	for t, id := range tokens {
		stream[t] = multiplied(p.weights[embedding][id*c.Hidden:(id+1)*c.Hidden], c.Embedding)
		if p.kind == "gemma" {
			stream[t] = multiplied(stream[t], math.Sqrt(float64(c.Hidden)))
		}
	}
	for n := range c.Layers {
		layer := fmt.Sprintf("model.layers.%d.", n)
		var keys, values [][]float64
		for t, x := range stream {
			q, k, v := p.qkv(layer, p.normed(layer+inputNorm, x))
			p.rotate(q, t)
			p.rotate(k, t)
			keys, values = append(keys, k), append(values, v)
			x = add(x, multiplied(p.linear(layer+output+".weight", p.attention(n, q, keys, values, t)), c.Residual))
			stream[t] = add(x, multiplied(p.mlp(layer, p.normed(layer+mlpNorm, x)), c.Residual))
		}
	}
	out := make([][]float64, len(tokens))
	for t, x := range stream {
		out[t] = p.linear(head, p.normed("model.norm.weight", x))
		if c.Logits != 0 {
			out[t] = multiplied(out[t], 1/c.Logits)
		}
	}
	return out
}

// TestFamilies runs every family beside its published definition.
func TestFamilies(t *testing.T) {
	for name, m := range map[string]testmodel.Llama{
		"llama3 scaling": {KVHeads: 2, Config: map[string]any{"rope_scaling": map[string]any{
			"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 64}}},
		"linear scaling":         {KVHeads: 2, Config: map[string]any{"rope_scaling": map[string]any{"rope_type": "linear", "factor": 4}}},
		"yarn scaling":           {KVHeads: 2, HeadDim: 16, Config: map[string]any{"rope_scaling": map[string]any{"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 512}}},
		"llama with biases":      {KVHeads: 2, Config: map[string]any{"attention_bias": true}},
		"mistral":                {Kind: "mistral", KVHeads: 2, HeadDim: 12, Untied: true},
		"mistral, a window":      {Kind: "mistral", KVHeads: 2, Config: map[string]any{"sliding_window": 20}},
		"qwen2":                  {Kind: "qwen2", KVHeads: 2},
		"qwen2, an upper window": {Kind: "qwen2", KVHeads: 2, Layers: 3, Config: map[string]any{"use_sliding_window": true}},
		"qwen3":                  {Kind: "qwen3", KVHeads: 2, HeadDim: 12},
		"phi3":                   {Kind: "phi3", KVHeads: 2, Untied: true},
		"phi3, a window":         {Kind: "phi3", Config: map[string]any{"sliding_window": 31}},
		"internlm2":              {Kind: "internlm2", KVHeads: 2, Untied: true},
		"internlm2 with biases":  {Kind: "internlm2", KVHeads: 2, Untied: true, Config: map[string]any{"bias": true}},
		"granite":                {Kind: "granite", KVHeads: 2},
		"granite, untied":        {Kind: "granite", KVHeads: 2, Untied: true, DType: checkpoint.F64},
		"exaone":                 {Kind: "exaone", KVHeads: 2, HeadDim: 12, Untied: true},
		"minicpm":                {Kind: "minicpm", Layers: 3, KVHeads: 2},
		"mimo":                   {Kind: "mimo", KVHeads: 2, Untied: true},
		"internlm":               {Kind: "internlm", Untied: true},
		"deepseek":               {Kind: "deepseek", KVHeads: 2, Untied: true, Layers: 3},
		"gemma":                  {Kind: "gemma", KVHeads: 1, HeadDim: 12},
	} {
		t.Run(name, func(t *testing.T) {
			dir := m.Write(t)
			f := testmodel.Open(t, dir)
			tokens := testmodel.Tokens(f32.QueriesAtOnce-30, f.Vocab, 1) // within max_position_embeddings
			got, want := logits(t, f, tokens), newPublished(t, cmp.Or(m.Kind, "llama"), dir).run(tokens)
			worst, largest := 0.0, 0.0
			for i, row := range want {
				for j, v := range row {
					worst = max(worst, math.Abs(float64(got.Data[i*got.Cols+j])-v)/(1+math.Abs(v)))
					largest = max(largest, math.Abs(v))
				}
			}
			if !(worst < 2e-4) || largest < 0.1 {
				t.Errorf("logits, up to %g, are off by %g", largest, worst)
			}
		})
	}
}
