package checkpoint

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/gguf"
)

// tiny is a GGUF file that the converter of llama.cpp has made.
const tiny = "../llamacpp/testdata/qwen2.f16.gguf"

// TestOpenGGUF: a GGUF file brings its configuration and its tokenizer, and its digests are of
// what is stored.
func TestOpenGGUF(t *testing.T) {
	s, err := Open(tiny)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if text, from, err := s.Config(""); err != nil || from != tiny || !strings.Contains(string(text), "Qwen2ForCausalLM") {
		t.Errorf("the configuration is %q, from %q, %v", text, from, err)
	}
	for _, name := range s.Carried() {
		if text, _, err := s.Beside(name, MaxConfig); err != nil || len(text) == 0 {
			t.Errorf("%q is %q, %v", name, text, err)
		}
	}
	if _, _, err := s.Beside("merges.txt", MaxConfig); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not carried: %v", err)
	}
	tensors, err := DigestTensors(t.Context(), s.Stored())
	if err != nil {
		t.Fatal(err)
	}
	all, err := s.Digests(t.Context(), tensors)
	if err != nil || all[0].Tensors["blk.1.attn_q.weight"] == "" || len(all[0].Tensors) != len(s.Tensors()) {
		t.Errorf("the digests are %v, %v", all, err)
	}
}

// TestRefusedGGUF: files that belong to no model, or only in part.
func TestRefusedGGUF(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	header := func(m gguf.Metadata) []byte {
		head, _, err := gguf.Header(m, nil)
		if err != nil {
			t.Fatal(err)
		}
		return head
	}
	sound, err := os.ReadFile(tiny)
	if err != nil {
		t.Fatal(err)
	}
	split := gguf.Metadata{{Key: "split.no", Value: uint16(0)}, {Key: "split.count", Value: uint16(2)}}
	put("folder/model.safetensors", sound)
	put("alone/model.gguf", sound)
	for path, want := range map[string]string{
		filepath.Join(dir, "folder"):           "GGUF",
		filepath.Join(dir, "alone"):            "GGUF",
		put("cut.gguf", sound[:len(sound)-40]): "incomplete",
		put("bert.gguf", header(gguf.Metadata{{Key: "general.architecture", Value: "bert"}})): "architecture",
		put("matrix.gguf", header(gguf.Metadata{{Key: "general.type", Value: "imatrix"}})):    "imatrix",
		put("part.gguf", header(split)):                "name",
		put("part-00001-of-00002.gguf", header(split)): "missing",
	} {
		_, err := Open(path)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want one with %q", filepath.Base(path), err, want)
		}
	}
}

// TestSplitGGUF: the parts of a split file are one model.
func TestSplitGGUF(t *testing.T) {
	whole, err := os.ReadFile(tiny)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(tiny)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parsed, err := gguf.Read(f, int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	dir, half := t.TempDir(), len(parsed.Tensors)/2
	for n, part := range [][]*gguf.Tensor{parsed.Tensors[:half], parsed.Tensors[half:]} {
		m := gguf.Metadata{{Key: "split.no", Value: uint16(n)}, {Key: "split.count", Value: uint16(2)}, {Key: "split.tensors.count", Value: int32(len(parsed.Tensors))}}
		if n == 0 {
			m = append(m, parsed.Metadata...)
		}
		var specs []gguf.Spec
		for _, t := range part {
			specs = append(specs, gguf.Spec{Name: t.Name, Type: t.Type, Shape: t.Shape})
		}
		text, places, err := gguf.Header(m, specs)
		if err != nil {
			t.Fatal(err)
		}
		for i, stored := range part {
			text = append(text, make([]byte, places[i]-int64(len(text)))...)
			raw := make([]byte, stored.Raw().Size())
			if _, err := stored.Raw().ReadAt(raw, 0); err != nil {
				t.Fatal(err)
			}
			text = append(text, raw...)
		}
		name := []string{"m-00001-of-00002.gguf", "m-00002-of-00002.gguf"}[n]
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	joined, err := Open(filepath.Join(dir, "m-00001-of-00002.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer joined.Close()
	alone, err := Open(tiny)
	if err != nil {
		t.Fatal(err)
	}
	defer alone.Close()
	for _, want := range alone.Tensors() {
		got := joined.Lookup(want.Name)
		if got == nil {
			t.Errorf("%q is missing", want.Name)
			continue
		}
		a, b := make([]float64, want.Elements()), make([]float64, want.Elements())
		if err := errors.Join(Read(want, 0, a), Read(got, 0, b)); err != nil || !slices.Equal(a, b) {
			t.Errorf("%q differs, or %v", want.Name, err)
		}
	}
	if _, err := Open(filepath.Join(dir, "m-00002-of-00002.gguf")); err == nil {
		t.Error("the second part was opened as a model")
	}
}
