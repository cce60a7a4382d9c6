package convert_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/budget"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/manifest"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/search"
)

// files reads every file of a folder.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}

// TestSameBytes: neither the run nor the number of jobs shows in the output.
func TestSameBytes(t *testing.T) {
	m := testmodel.Open(t, stories)
	dir := t.TempDir()
	var first map[string]string
	for i, jobs := range []int{1, 2, 2, 7} {
		out := filepath.Join(dir, string(rune('a'+i)))
		if _, err := convertTo(m, out, plan.Request{Cache: 24, MaxShard: 400e3}, convert.Options{Budget: budget.Budget{Jobs: jobs}}); err != nil {
			t.Fatal(err)
		}
		got := files(t, out)
		if first == nil {
			first = got
		}
		for name, content := range first {
			if got[name] != content {
				t.Errorf("%s differs with %d jobs", name, jobs)
			}
		}
		if len(got) != len(first) {
			t.Errorf("%d files with %d jobs", len(got), jobs)
		}
	}
}

// TestShardedInput: it does not show in how many files the source came, though
// queries, keys and values are in different ones.
func TestShardedInput(t *testing.T) {
	var first string
	for _, shards := range []int{1, 2, 5} {
		m := testmodel.Llama{KVHeads: 2, Shards: shards}.Open(t)
		if len(m.Source.Files()) != shards {
			t.Fatalf("%d files", len(m.Source.Files()))
		}
		out := filepath.Join(t.TempDir(), "out.safetensors")
		if _, err := convertTo(m, out, plan.Request{Rank: 8}, convert.Options{}); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = string(b)
		}
		if string(b) != first {
			t.Errorf("%d shards give other bytes", shards)
		}
	}
}

// TestDirectory looks at everything in an output directory: shards, index,
// configuration, what came along and what did not.
func TestDirectory(t *testing.T) {
	dir := testmodel.Llama{KVHeads: 2, Config: map[string]any{"head_dim": 8, "auto_map": map[string]string{"a": "b"}, "bos_token_id": 1, "pretraining_tp": 1}}.Write(t)
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json", "LICENSE", "generation_config.json", "tokenizer_code.py", "optimizer.pt", "consolidated.00.pth", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strconv.Quote(name)), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "original"), 0o777); err != nil {
		t.Fatal(err)
	}
	const source = "---\nlanguage: en\nlicense: other\nlicense_link: https://x.org/LICENSE\nlicense_name: \"quoted\"\n---\nlicense: mit\n"
	if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte(source), 0o666); err != nil {
		t.Fatal(err)
	}
	m := testmodel.Open(t, dir)
	out := filepath.Join(t.TempDir(), "out")
	p, err := convertTo(m, out, plan.Request{Rank: 8, RopeDims: 4, MaxShard: 20e3}, convert.Options{Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	got := files(t, out)
	var names []string
	for name, content := range got {
		if !strings.HasSuffix(name, ".safetensors") {
			names = append(names, name)
		}
		if slices.Contains(p.Companions, name) && content != strconv.Quote(name) {
			t.Errorf("%s was changed", name)
		}
	}
	slices.Sort(names)
	want := []string{"LICENSE", "README.md", "config.json", "generation_config.json", "mha2mla.json", "model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json"}
	if !slices.Equal(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
	if len(p.Shards) < 3 || p.Shards[0].File != "model-00001-of-0000"+string(rune('0'+len(p.Shards)))+".safetensors" {
		t.Errorf("shards %v", p.Shards)
	}
	for i, shard := range p.Shards { // as full as they can be, in the order of names
		if shard.Bytes > 20e3 && shard.Tensors > 1 {
			t.Errorf("shard %d has %d bytes", i, shard.Bytes)
		}
	}
	for i, tensor := range p.Tensors[1:] {
		if before := p.Shards[p.Tensors[i].Shard]; tensor.Shard != p.Tensors[i].Shard && before.Bytes+tensor.Bytes() <= 20e3 {
			t.Errorf("%s would fit before", tensor.Name)
		}
	}
	var index struct {
		Metadata  map[string]int64  `json:"metadata"`
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal([]byte(got[checkpoint.IndexFile]), &index); err != nil {
		t.Fatal(err)
	}
	if index.Metadata["total_size"] != p.Bytes || len(index.WeightMap) != len(p.Tensors) {
		t.Errorf("index: %v and %d tensors; planned %d bytes and %d tensors", index.Metadata, len(index.WeightMap), p.Bytes, len(p.Tensors))
	}
	res := testmodel.Open(t, out) // checks every name, shape and shard
	for _, tensor := range p.Tensors {
		written := res.Source.Lookup(tensor.Name)
		if written == nil || written.DType != tensor.DType || !slices.Equal(written.Shape, tensor.Shape) {
			t.Errorf("%s is not as planned", tensor.Name)
		}
	}
	if res.Source.Embedded() != got["config.json"] {
		t.Error("the shards carry another configuration")
	}
	checkConfig(t, got["config.json"])
	parameters := int64(0)
	for _, tensor := range p.Tensors {
		parameters += tensor.Elements()
	}
	if index.Metadata["total_parameters"] != parameters {
		t.Errorf("the index has %d parameters, want %d", index.Metadata["total_parameters"], parameters)
	}
	if bare := res.Source.Without("format", "pt"); bare != "" {
		t.Errorf("%s has no format", bare)
	}
	if got, want := p.LeftOut.String(), "left alone: weights in other forms (consolidated.00.pth, optimizer.pt, original/), code (tokenizer_code.py)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	start := "---\nbase_model: \"" + filepath.Base(dir) + "\"\nlibrary_name: transformers\nlicense: other\nlicense_link: https://x.org/LICENSE\ntags:\n- mla\n- mha2mla\n---\n\n# "
	for _, want := range []string{"mha2mla convert --kv-lora-rank 8 --rope-dims 4", "Engines that load it: hf, vllm, sglang, mlx-lm.", "| energy of keys and values, without data | 100 % | "} {
		if card := got["README.md"]; !strings.HasPrefix(card, start) || !strings.Contains(card, want) {
			t.Errorf("model card:\n%s", card)
		}
	}
}

// checkConfig holds a configuration against the contract of design §6.
func checkConfig(t *testing.T, text string) {
	t.Helper()
	var c map[string]any
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"model_type": "deepseek_v3", "num_key_value_heads": 4.0, "kv_lora_rank": 8.0, "q_lora_rank": nil,
		"qk_nope_head_dim": 8.0, "qk_rope_head_dim": 4.0, "v_head_dim": 8.0, "first_k_dense_replace": 2.0,
		"n_routed_experts": 2.0, "num_experts_per_tok": 1.0, "n_group": 1.0, "topk_group": 1.0, "n_shared_experts": 0.0,
		"moe_layer_freq": 1.0, "routed_scaling_factor": 1.0, "scoring_func": "sigmoid", "norm_topk_prob": false, "num_nextn_predict_layers": 0.0,
		"rms_norm_eps": 1e-6, "attention_bias": false, "tie_word_embeddings": false, "rope_scaling": nil,
		"torch_dtype": "float32", "bos_token_id": 1.0, "pretraining_tp": 1.0, "hidden_size": 32.0,
	} {
		if got, ok := c[key]; !ok || got != want {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
	for _, key := range []string{"head_dim", "auto_map", "rope_interleave", "quantization_config", "dtype"} {
		if _, ok := c[key]; ok {
			t.Errorf("%s is there", key)
		}
	}
}

// TestForce replaces an older, sharded output: nothing of it is left that a
// loader would find, and what is not the program's stays.
func TestForce(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	out := filepath.Join(t.TempDir(), "out")
	if _, err := convertTo(m, out, plan.Request{Rank: 8, MaxShard: 20e3}, convert.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(out, "notes.txt"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := convertTo(m, out, plan.Request{Rank: 8}, convert.Options{}); !errors.As(err, new(*checkpoint.ExistsError)) {
		t.Errorf("without force: %v", err)
	}
	if _, err := convertTo(m, out, plan.Request{Rank: 8}, convert.Options{Force: true}); err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range files(t, out) {
		names = append(names, name)
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "README.md config.json mha2mla.json model.safetensors notes.txt" {
		t.Errorf("left %s", got)
	}
}

// TestFile writes one file beside another's configuration, and again.
func TestFile(t *testing.T) {
	dir := testmodel.Llama{KVHeads: 2}.Write(t)
	m := testmodel.Open(t, filepath.Join(dir, checkpoint.SingleFile))
	for range 2 {
		if _, err := convertTo(m, filepath.Join(dir, "out.safetensors"), plan.Request{Rank: 8}, convert.Options{Force: true}); err != nil {
			t.Fatal(err)
		}
	}
	if res := testmodel.Open(t, filepath.Join(dir, "out.safetensors")); res.MLA == nil {
		t.Error("the output has the configuration of its source")
	}
	other := t.TempDir()
	for range 2 { // the second time, config.json is there and its own
		if _, err := convertTo(m, filepath.Join(other, "out.safetensors"), plan.Request{Rank: 8}, convert.Options{Force: true}); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for name := range files(t, other) {
		names = append(names, name)
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "config.json out.mha2mla.json out.safetensors" {
		t.Errorf("left %s", got)
	}
}

// TestValues: NaN where it is computed with is refused and leaves nothing; where
// it is only carried along it is, with a warning.
func TestValues(t *testing.T) {
	for _, name := range []string{family.QProj, family.KProj, family.VProj, family.OProj, family.InputNorm} {
		full := family.InLayer(1, name)
		m := testmodel.Llama{Poison: map[string]float64{full: math.NaN()}}.Open(t)
		parent := t.TempDir()
		_, err := convertTo(m, filepath.Join(parent, "out"), plan.Request{Rank: 8, RopeDims: 4, Theta: 100}, convert.Options{})
		if !errors.As(err, new(*checkpoint.ValueError)) || !strings.Contains(err.Error(), full) {
			t.Errorf("%s: %v", name, err)
		}
		if left := files(t, parent); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
	for _, dtype := range []checkpoint.DType{checkpoint.F32, checkpoint.BF16} {
		for _, name := range []string{family.InLayer(0, family.GateProj), family.InLayer(0, family.DownProj), family.Embedding} {
			m := testmodel.Llama{DType: dtype, Poison: map[string]float64{name: math.Inf(1)}}.Open(t)
			out := filepath.Join(t.TempDir(), "out")
			var warnings []string
			warn := func(text string) { warnings = append(warnings, text) }
			if _, err := convertTo(m, out, plan.Request{Rank: 8}, convert.Options{Warn: warn}); err != nil {
				t.Fatal(err)
			}
			if len(warnings) == 0 || !strings.Contains(warnings[0], name) {
				t.Errorf("%s: warnings %q", name, warnings)
			}
			first := make([]float64, 1)
			if err := checkpoint.Read(testmodel.Open(t, out).Source.Lookup(name), 0, first); err != nil || !math.IsInf(first[0], 1) {
				t.Errorf("%s: carried along as %v, %v", name, first, err)
			}
		}
	}
}

// TestStrangeTensors: what has another type or no place in a layer comes along
// bit for bit; what the target cannot hold does not.
func TestStrangeTensors(t *testing.T) {
	m := testmodel.Open(t, testmodel.Llama{Untied: true, Extra: []checkpoint.Spec{
		{Name: "value_head.weight", DType: "F8_E4M3", Shape: []int64{3}},
		{Name: "value_head.steps", DType: "I64", Shape: []int64{}},
		{Name: "model.layers.0.self_attn.rotary_emb.inv_freq", DType: checkpoint.F32, Shape: []int64{4}},
	}}.Write(t))
	out := converted(t, m, plan.Request{Rank: 8, DType: plan.DTypeRule(checkpoint.BF16)})
	if got := out.Source.Lookup("value_head.weight"); got == nil || got.DType != "F8_E4M3" {
		t.Errorf("value head: %+v", got)
	}
	if got := out.Source.Lookup("value_head.steps"); got == nil || got.DType != "I64" {
		t.Errorf("steps: %+v", got)
	}
	if out.Source.Lookup("model.layers.0.self_attn.rotary_emb.inv_freq") != nil {
		t.Error("frequencies of another rotary key came along")
	}
}

// TestCancel: a conversion that is told to stop leaves nothing.
func TestCancel(t *testing.T) {
	m := testmodel.Open(t, stories)
	parent := t.TempDir()
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := errors.New("stop")
	p, err := planFor(m, filepath.Join(parent, "out"), plan.Request{Rank: 8, RopeDims: 4, Theta: 100}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = convert.Run(ctx, p, convert.Options{Budget: budget.Budget{Jobs: 2}, Progress: func(int64, int64) { cancel(stop) }})
	if !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	if left := files(t, parent); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if _, err := search.Sizes(ctx, search.Task{Input: mla.Input{Model: m}, Choices: choose(t, m, plan.Request{Cache: 20})}); !errors.Is(err, stop) {
		t.Errorf("search: %v", err)
	}
}

// TestHubCache converts from the cache of the hub, where a snapshot is made of
// links: the card names the model as the hub does, and what the links lead to is
// copied.
func TestHubCache(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "models--some-org--A-Model-1.5B")
	blobs, snapshot := filepath.Join(cache, "blobs"), filepath.Join(cache, "snapshots", "0123abc")
	for _, dir := range []string{blobs, snapshot} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := (testmodel.Llama{KVHeads: 2, Shards: 2}).WriteTo(blobs); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(blobs, "tokenizer.json"), []byte("{}"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name := range files(t, blobs) {
		blob := "b" + strings.ReplaceAll(name, ".", "")
		if err := errors.Join(
			os.Rename(filepath.Join(blobs, name), filepath.Join(blobs, blob)),
			os.Symlink(filepath.Join("..", "..", "blobs", blob), filepath.Join(snapshot, name))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(snapshot, "tokenizer_config.json")); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	if _, err := convertTo(testmodel.Open(t, snapshot), out, plan.Request{Rank: 8}, convert.Options{}); err != nil {
		t.Fatal(err)
	}
	got := files(t, out)
	if !strings.Contains(got["README.md"], "base_model: \"some-org/A-Model-1.5B\"\n") || got["tokenizer.json"] != "{}" {
		t.Errorf("card %s\ntokenizer %q", got["README.md"], got["tokenizer.json"])
	}
	for name := range got {
		if info, err := os.Lstat(filepath.Join(out, name)); err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s is no file: %v", name, err)
		}
	}
}

// TestInputDigests: the manifest has the digest of every tensor of the source,
// whether it was copied, converted, computed with, or one of several in a tensor.
func TestInputDigests(t *testing.T) {
	for _, kind := range []string{"", "phi3", "granite"} {
		dir, out := testmodel.Llama{Kind: kind, Eps: 1e-6, Shards: 2}.Write(t), filepath.Join(t.TempDir(), "out")
		if _, err := convertTo(testmodel.Open(t, dir), out, plan.Request{Rank: 8, RopeDims: 2, Theta: 100}, convert.Options{}); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(out, "mha2mla.json"))
		if err != nil {
			t.Fatal(err)
		}
		var m manifest.Manifest
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		if len(m.Inputs) != 2 {
			t.Fatalf("%q: %d inputs", kind, len(m.Inputs))
		}
		for _, in := range m.Inputs {
			want, err := checkpoint.Digest(t.Context(), filepath.Join(dir, in.File))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(in.Digests, want) {
				t.Errorf("%q: %s has %v, want %v", kind, in.File, in.Digests, want)
			}
		}
	}
}
