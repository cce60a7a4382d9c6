package export

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/gguf"
)

// made is a folder of checkpoints, and of what the converter of llama.cpp has made of them
// (make.py there).
const made = "../llamacpp/testdata/"

// open opens a checkpoint.
func open(t *testing.T, path string) *checkpoint.Source {
	t.Helper()
	src, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// vocabularyOf reads the vocabulary of a checkpoint.
func vocabularyOf(t *testing.T, path string) (gguf.Metadata, error) {
	t.Helper()
	src := open(t, path)
	config, _, err := src.Config("")
	if err != nil {
		t.Fatal(err)
	}
	return Vocabulary(src, config, int(src.Lookup("model.embed_tokens.weight").Shape[0]))
}

// TestVocabulary: of a directory comes the vocabulary that the converter of llama.cpp makes of it,
// in its order, and of a GGUF file its own. Beside a tokenizer.model the converter does not find the
// tokens that tokenizer_config.json names, which are those that llama.cpp takes by itself.
func TestVocabulary(t *testing.T) {
	for _, kind := range []string{"llama", "qwen2", "qwen3", "deepseek_v3"} {
		want := passed(open(t, made+kind+".f16.gguf").GGUF(), "tokenizer.")
		for _, path := range []string{made + kind, made + kind + ".f16.gguf"} {
			got, err := vocabularyOf(t, path)
			if err != nil {
				t.Fatal(err)
			}
			if kind == "llama" && path == made+kind {
				for role, id := range map[string]uint32{"bos": 1, "eos": 2, "unknown": 0} {
					if named := got.Value("tokenizer.ggml." + role + "_token_id"); named != id {
						t.Errorf("%s is %v, want %d", role, named, id)
					}
				}
				got = slices.DeleteFunc(got, func(p gguf.Pair) bool { return strings.HasSuffix(p.Key, "_token_id") })
			}
			for i, p := range want {
				if i >= len(got) || !reflect.DeepEqual(got[i], p) {
					t.Errorf("%s: pair %d is %.100v, want %.100v", path, i, got[min(i, len(got)-1)], p)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%s: %d pairs, want %d", path, len(got), len(want))
			}
		}
	}
}

// changed copies a checkpoint, and edits one of its JSON files, or removes it.
func changed(t *testing.T, path, name string, edit func(map[string]any)) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(path)); err != nil {
		t.Fatal(err)
	}
	name = filepath.Join(dir, name)
	if edit == nil {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	edit(all)
	text, err = json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text, 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestNoVocabulary: what llama.cpp would cut up otherwise, or nobody knows, is refused.
func TestNoVocabulary(t *testing.T) {
	within := func(all map[string]any, key string) map[string]any { return all[key].(map[string]any) }
	for want, dir := range map[string]string{
		"no tokenizer.json or tokenizer.model": changed(t, made+"qwen3", "tokenizer.json", nil),
		"no name that is known here": changed(t, made+"qwen3", "tokenizer.json", func(all map[string]any) {
			within(all, "model")["ignore_merges"] = true
		}),
		"how its vocabulary cuts up a text is not known here (pre_tokenizer": changed(t, made+"qwen3", "tokenizer.json", func(all map[string]any) {
			all["pre_tokenizer"] = map[string]any{"type": "Whitespace"}
		}),
		`token "<more>" has id 267, and the embedding has 267 tokens`: changed(t, made+"qwen3", "tokenizer.json", func(all map[string]any) {
			all["added_tokens"] = append(all["added_tokens"].([]any), map[string]any{"id": 267, "content": "<more>", "special": false, "normalized": false, "single_word": false, "lstrip": false, "rstrip": false})
		}),
		`puts "<|im_start|>" around every text, and its bos_token is ""`: changed(t, made+"qwen3", "tokenizer.json", func(all map[string]any) {
			all["post_processor"] = map[string]any{
				"type": "TemplateProcessing", "single": []any{map[string]any{"SpecialToken": map[string]any{"id": "<|im_start|>", "type_id": 0}}, map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}}},
				"pair": []any{}, "special_tokens": map[string]any{"<|im_start|>": map[string]any{"id": "<|im_start|>", "ids": []int{261}, "tokens": []string{"<|im_start|>"}}},
			}
		}),
	} {
		_, err := vocabularyOf(t, dir)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestTemplates: the template of tokenizer_config.json comes before that of a file, several have
// names, and a link that leads out of the source is not followed.
func TestTemplates(t *testing.T) {
	template := func(dir string) (found []string) {
		m, err := vocabularyOf(t, dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range passed(m, "tokenizer.chat_template") {
			found = append(found, strings.TrimPrefix(p.Key, "tokenizer.chat_template")+"="+p.Value.(string))
		}
		return found
	}
	set := func(value any) string {
		return changed(t, made+"qwen3", "tokenizer_config.json", func(all map[string]any) {
			delete(all, "chat_template")
			if value != nil {
				all["chat_template"] = value
			}
		})
	}
	several := set([]any{map[string]any{"name": "tool_use", "template": "b"}, map[string]any{"name": "default", "template": "a"}})
	if got := template(several); !reflect.DeepEqual(got, []string{".tool_use=b", "=a"}) {
		t.Errorf("several templates: %v", got)
	}
	file := set(nil)
	if err := os.WriteFile(filepath.Join(file, "chat_template.jinja"), []byte("of a file"), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := template(file); !reflect.DeepEqual(got, []string{"=of a file"}) {
		t.Errorf("a file: %v", got)
	}
	link := set(nil)
	if err := os.Symlink(filepath.Join(file, "chat_template.jinja"), filepath.Join(link, "chat_template.jinja")); err != nil {
		t.Skip("no links here:", err)
	}
	if got := template(link); got != nil {
		t.Errorf("a link out of the source: %v", got)
	}
}

// TestGeneral: name, size and licence are found as the converter of llama.cpp finds them.
func TestGeneral(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "models--some-org--small-LM-v2-135m", "snapshots", "1")
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(made+"qwen3")); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"README.md":              "---\nlicense: other\nlicense_name: small\npipeline_tag: text-generation\n---\n",
		"generation_config.json": `{"top_k": 20, "temperature": 0.5, "do_sample": true}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want := gguf.Metadata{
		{Key: "general.sampling.top_k", Value: int32(20)}, {Key: "general.sampling.temp", Value: float32(0.5)},
		{Key: "general.name", Value: "Small LM v2 135m"}, {Key: "general.size_label", Value: "1.5B"},
		{Key: "general.license", Value: "other"}, {Key: "general.license.name", Value: "small"},
		{Key: "general.base_model.count", Value: uint32(1)}, {Key: "general.base_model.0.name", Value: "Small LM v2 135m"},
		{Key: "general.base_model.0.organization", Value: "Some Org"}, {Key: "general.base_model.0.repo_url", Value: "https://huggingface.co/some-org/small-LM-v2-135m"},
		{Key: "general.tags", Value: []string{"mla", "mha2mla", "text-generation"}},
	}
	got, err := General(open(t, dir), 1_540_000_000)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	for n, label := range map[int64]string{600: "0.6K", 15_360: "15K", 999_999: "1000K", 1_000_001: "1.0M", 134_515_008: "135M", 7_241_732_096: "7.2B"} {
		if got := sizeLabel(n); got != label {
			t.Errorf("%d parameters are %s, want %s", n, got, label)
		}
	}
}
