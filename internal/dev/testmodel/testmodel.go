package testmodel

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Latent makes a model a DeepseekV3ForCausalLM without experts. It holds the sizes that such
// a model has, of which QRank may be 0.
type Latent struct{ Rank, RopeDims, NopeDim, ValueDim, QRank int }

// PerHead makes a model one of the reference's form. It keeps the fastest pairs. With Ranks,
// it keeps the pairs of the lowest ranks in each layer and KV head.
type PerHead struct {
	LowRank, RopeDims int
	Split             bool
	Ranks             []rope.Ranking
}

// Llama describes a LlamaForCausalLM that a test needs. With Kind it is a model of that
// type, and with Latent one of the class that this program writes. Fields that are zero get
// small values.
type Llama struct {
	Kind string  // model_type; empty: llama
	Bias float64 // standard deviation of biases, where the kind or the configuration has them

	Hidden, Intermediate, Layers, Heads, KVHeads, HeadDim, Vocab int

	Latent  *Latent
	PerHead *PerHead
	Experts *family.MoE // under the names and keys of a DeepSeek; nil: none

	Eps    float64
	Theta  float64
	Untied bool
	DType  checkpoint.DType
	Norms  checkpoint.DType // type of vectors; empty: DType
	Seed   uint64

	Shards  int                 // number of files; tensors go to each in turn
	Extra   []checkpoint.Spec   // more tensors, filled with zeros
	Poison  map[string]float64  // first value of each tensor that is named
	Edit    Edit                // changes the random values, unless it is nil
	Config  map[string]any      // more members of the configuration; a nil value removes the key
	Without map[string]struct{} // tensors that are left out
}

// Edit changes the values of one row of the named tensor. A vector is one row.
type Edit func(tensor string, row int, values []float64)

// defaults returns m with values for all fields that are zero.
func (m Llama) defaults() Llama {
	set := func(v *int, preset int) {
		if *v == 0 {
			*v = preset
		}
	}
	set(&m.Hidden, 32)
	set(&m.Intermediate, 48)
	set(&m.Layers, 2)
	set(&m.Heads, 4)
	set(&m.KVHeads, m.Heads)
	set(&m.HeadDim, 8)
	set(&m.Vocab, 64)
	if m.Kind == "deepseek" && m.Experts == nil {
		m.Experts = &family.MoE{Experts: 6, Chosen: 2, Width: 16, Shared: 32, First: 1, Score: family.Softmax, Scale: 1}
	}
	if m.Eps == 0 {
		m.Eps = 1e-5
	}
	if m.Theta == 0 {
		m.Theta = 10000
	}
	if m.DType == "" {
		m.DType = checkpoint.F32
	}
	return m
}

// tensor is a tensor whose values are drawn from a normal distribution with the given mean
// and standard deviation.
type tensor struct {
	checkpoint.Spec
	mean, std float64
	parts     []part // the parts of a fused tensor; nil for others
}

func (m Llama) tensors() []tensor {
	var all []tensor
	add := func(name string, mean, std float64, shape ...int64) {
		if _, out := m.Without[name]; out {
			return
		}
		dtype := m.DType
		if len(shape) == 1 && m.Norms != "" {
			dtype = m.Norms
		}
		all = append(all, tensor{Spec: checkpoint.Spec{Name: name, DType: dtype, Shape: shape}, mean: mean, std: std})
	}
	d, q, kv := int64(m.Hidden), int64(m.Heads*m.HeadDim), int64(m.KVHeads*m.HeadDim)
	in := 1 / math.Sqrt(float64(d)) // keeps activations near 1
	add("model.embed_tokens.weight", 0, 1, int64(m.Vocab), d)
	if m.Untied {
		add("lm_head.weight", 0, 3*in, int64(m.Vocab), d)
	}
	add("model.norm.weight", 1, 0.2, d)
	for n := range m.Layers {
		p := fmt.Sprintf("model.layers.%d.", n)
		add(p+"input_layernorm.weight", 1, 0.2, d)
		add(p+"post_attention_layernorm.weight", 1, 0.2, d)
		l := m.Latent
		switch {
		case m.PerHead != nil:
			for _, t := range m.perHead(n) {
				add(t.Name, t.mean, t.std, t.Shape...)
			}
		case l != nil:
			H, r, dr, dv := int64(m.Heads), int64(l.Rank), int64(l.RopeDims), int64(l.ValueDim)
			width := int64(l.NopeDim) + dr
			rq := int64(l.QRank)
			if rq > 0 {
				add(p+"self_attn.q_a_proj.weight", 0, in, rq, d)
				add(p+"self_attn.q_a_layernorm.weight", 1, 0.2, rq)
				add(p+"self_attn.q_b_proj.weight", 0, 1/math.Sqrt(float64(rq)), H*width, rq)
			} else {
				add(p+"self_attn.q_proj.weight", 0, 1.5*in, H*width, d)
			}
			add(p+"self_attn.kv_a_proj_with_mqa.weight", 0, in, r+dr, d)
			add(p+"self_attn.kv_a_layernorm.weight", 1, 0.2, r)
			add(p+"self_attn.kv_b_proj.weight", 0, 1/math.Sqrt(float64(r)), H*(int64(l.NopeDim)+dv), r)
			add(p+"self_attn.o_proj.weight", 0, 1/math.Sqrt(float64(H*dv)), d, H*dv)
			if m.Config["attention_bias"] == true {
				size := cmp.Or(m.Bias, 1)
				if l.QRank > 0 {
					add(p+family.QABias, 0, size, int64(l.QRank))
				}
				add(p+family.KVABias, 0, size, r+dr)
				add(p+family.OBias, 0, size, d)
			}
		default:
			add(p+"self_attn.q_proj.weight", 0, 1.5*in, q, d)
			add(p+"self_attn.k_proj.weight", 0, 1.5*in, kv, d)
			add(p+"self_attn.v_proj.weight", 0, in, kv, d)
			add(p+"self_attn.o_proj.weight", 0, 1/math.Sqrt(float64(q)), d, q)
			m.attentionExtras(add, p)
		}
		mlps := family.Model{Hidden: m.Hidden, Intermediate: m.Intermediate, MoE: m.Experts}
		for _, t := range mlps.MLPTensors(n) {
			scale := 1.0
			if t.Name == family.Router || t.Name == family.RouterBias {
				scale = 2 // some experts are chosen clearly
			}
			add(p+t.Name, 0, scale/math.Sqrt(float64(t.Shape[len(t.Shape)-1])), t.Shape...)
		}
	}
	if m.Kind != "" {
		return m.published(all)
	}
	return all
}

// Write makes the checkpoint in a new folder and returns the folder.
func (m Llama) Write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := m.WriteTo(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Open makes the checkpoint and opens its model. It closes the files when the test ends.
func (m Llama) Open(t testing.TB) *family.Model {
	t.Helper()
	return Open(t, m.Write(t))
}

// Open opens the model of a checkpoint. It closes the files when the test ends.
func Open(t testing.TB, path string) *family.Model {
	t.Helper()
	src, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	m, err := family.Read(src, "")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// WriteTo makes the checkpoint in dir. It holds only one row of values in memory at a time.
func (m Llama) WriteTo(dir string) error {
	m = m.defaults()
	files := make([][]checkpoint.Spec, max(1, m.Shards))
	fileOf := make(map[string]int)
	add := func(s checkpoint.Spec) {
		n := len(fileOf) % len(files)
		files[n], fileOf[s.Name] = append(files[n], s), n
	}
	for _, t := range m.tensors() {
		add(t.Spec)
	}
	for _, s := range m.Extra {
		add(s)
	}
	writers := make([]*checkpoint.Writer, len(files))
	for n, specs := range files {
		f, err := os.Create(filepath.Join(dir, m.file(n)))
		if err != nil {
			return err
		}
		if writers[n], err = checkpoint.NewWriter(f, specs, map[string]string{"format": "pt"}); err != nil {
			return err
		}
	}
	rng := rand.New(rand.NewPCG(m.Seed, 11))
	for _, t := range m.tensors() {
		if err := m.fill(writers[fileOf[t.Name]].Tensor(t.Name), t, rng); err != nil {
			return err
		}
	}
	for _, s := range m.Extra {
		out := writers[fileOf[s.Name]].Tensor(s.Name)
		_, err := out.Write(make([]byte, s.Bytes()))
		if err := errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
	for _, w := range writers {
		if err := w.Close(); err != nil {
			return err
		}
	}
	return errors.Join(m.writeIndex(dir, fileOf), m.writeConfig(dir), m.writeRanks(dir))
}

// file returns the name of the n-th file of weights.
func (m Llama) file(n int) string {
	if m.Shards <= 1 {
		return checkpoint.SingleFile
	}
	return fmt.Sprintf("model-%05d-of-%05d.safetensors", n+1, m.Shards)
}

func (m Llama) writeIndex(dir string, fileOf map[string]int) error {
	if m.Shards <= 1 {
		return nil
	}
	index := make(map[string]string)
	for name, n := range fileOf {
		index[name] = m.file(n)
	}
	text, err := json.Marshal(map[string]any{"weight_map": index})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, checkpoint.IndexFile), text, 0o666)
}

// fill draws the values of a tensor and writes them.
func (m Llama) fill(out *checkpoint.TensorWriter, t tensor, rng *rand.Rand) error {
	row := make([]float64, t.Shape[len(t.Shape)-1])
	for done := int64(0); done < t.Elements(); done += int64(len(row)) {
		std := t.deviation(done / int64(len(row)))
		for j := range row {
			row[j] = t.mean + std*rng.NormFloat64()
		}
		if bad, ok := m.Poison[t.Name]; ok && done == 0 {
			row[0] = bad
		}
		if m.Edit != nil {
			m.Edit(t.Name, int(done)/len(row), row)
		}
		if err := out.WriteFloats(row); err != nil {
			return err
		}
	}
	return out.Close()
}

func (m Llama) writeConfig(dir string) error {
	config := map[string]any{
		"architectures": []string{"LlamaForCausalLM"}, "model_type": "llama",
		"hidden_size": m.Hidden, "intermediate_size": m.Intermediate, "num_hidden_layers": m.Layers,
		"num_attention_heads": m.Heads, "num_key_value_heads": m.KVHeads, "head_dim": m.HeadDim,
		"vocab_size": m.Vocab, "max_position_embeddings": 128, "rms_norm_eps": m.Eps, "rope_theta": m.Theta,
		"rope_scaling": nil, "hidden_act": "silu", "tie_word_embeddings": !m.Untied, "torch_dtype": "float32",
	}
	if l := m.Latent; l != nil {
		delete(config, "head_dim")
		for key, value := range map[string]any{
			"architectures": []string{"DeepseekV3ForCausalLM"}, "model_type": "deepseek_v3",
			"kv_lora_rank": l.Rank, "q_lora_rank": nil, "qk_nope_head_dim": l.NopeDim, "qk_rope_head_dim": l.RopeDims,
			"v_head_dim": l.ValueDim, "first_k_dense_replace": m.Layers,
		} {
			config[key] = value
		}
		if l.QRank > 0 {
			config["q_lora_rank"] = l.QRank
		}
	}
	if e := m.Experts; e != nil {
		for key, value := range map[string]any{
			"n_routed_experts": e.Experts, "num_experts_per_tok": e.Chosen, "moe_intermediate_size": e.Width, "n_shared_experts": e.Shared / e.Width,
			"first_k_dense_replace": e.First, "scoring_func": e.Score, "topk_method": family.TopKMethod(e.Bias), "norm_topk_prob": e.Renorm,
			"routed_scaling_factor": e.Scale, "n_group": 1, "topk_group": 1,
		} {
			config[key] = value
		}
	}
	if m.PerHead != nil {
		config[family.PerHeadKey] = m.PerHead.config()
	}
	if k, ok := kinds[m.Kind]; ok {
		config["architectures"], config["model_type"] = []string{k.class}, m.Kind
		for key, value := range k.config {
			config[key] = value
		}
	}
	for key, value := range m.Config {
		config[key] = value
		if value == nil {
			delete(config, key)
		}
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, checkpoint.ConfigFile), text, 0o666)
}

// Tokens returns n random token ids below vocab.
func Tokens(n, vocab int, seed uint64) []int {
	rng := rand.New(rand.NewPCG(seed, 13))
	ids := make([]int, n)
	for i := range ids {
		ids[i] = rng.IntN(vocab)
	}
	return ids
}
