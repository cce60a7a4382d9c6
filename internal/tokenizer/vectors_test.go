package tokenizer

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// vectors are texts with their ids by the reference implementations: Hugging
// Face's tokenizers 0.23 for the variants of two tokenizer.json, and
// SentencePiece for the checkpoint in testdata.
type vectors struct {
	Texts      []string `json:"texts"`
	Tokenizers []struct {
		Name  string                     `json:"name"`
		Base  string                     `json:"base"`
		Patch map[string]json.RawMessage `json:"patch"` // replaces members; those of the model one by one
		IDs   [][]int                    `json:"ids"`
	} `json:"tokenizers"`
	SentencePiece [][]int `json:"sentencepiece"` // null where the reference cannot be asked
}

func readJSON[T any](t testing.TB, path string) (v T) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// patched returns a tokenizer.json with some members replaced.
func patched(t testing.TB, base string, patch map[string]json.RawMessage) []byte {
	t.Helper()
	type object = map[string]json.RawMessage
	file := readJSON[object](t, filepath.Join("testdata", base))
	for name, value := range patch {
		if name == "model" {
			var model, change object
			for text, to := range map[string]*object{string(file[name]): &model, string(value): &change} {
				if err := json.Unmarshal([]byte(text), to); err != nil {
					t.Fatal(err)
				}
			}
			maps.Copy(model, change)
			value = marshal(t, model)
		}
		file[name] = value
	}
	return marshal(t, file)
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestVectors(t *testing.T) {
	v := readJSON[vectors](t, "testdata/vectors.json")
	for _, c := range v.Tokenizers {
		t.Run(c.Name, func(t *testing.T) {
			tok, err := parseJSON(patched(t, c.Base, c.Patch))
			if err != nil {
				t.Fatal(err)
			}
			check(t, tok, v.Texts, c.IDs)
		})
	}
	t.Run("sentencepiece", func(t *testing.T) {
		tok, err := Open(checkpoint.Folder("../../testdata/stories260k"))
		if err != nil {
			t.Fatal(err)
		}
		check(t, tok, v.Texts, v.SentencePiece)
	})
}

// BenchmarkEncode encodes a megabyte of English.
func BenchmarkEncode(b *testing.B) {
	text := strings.Repeat("Once upon a time, there were 3 bears; they didn't eat porridge.\n", 1<<14)
	stories, err := Open(checkpoint.Folder("../../testdata/stories260k"))
	if err != nil {
		b.Fatal(err)
	}
	gpt2, err := parseJSON(patched(b, "bytelevel.json", nil))
	if err != nil {
		b.Fatal(err)
	}
	for name, tok := range map[string]*Tokenizer{"sentencepiece": stories, "bytelevel": gpt2} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := tok.Encode(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// check encodes each text and compares the ids, unless they are nil.
func check(t *testing.T, tok *Tokenizer, texts []string, want [][]int) {
	t.Helper()
	for i, text := range texts {
		got, err := tok.Encode(text)
		if err != nil {
			t.Fatal(err)
		}
		if want[i] != nil && !slices.Equal(got, want[i]) {
			t.Errorf("%q: %v, want %v", text, got, want[i])
		}
		for _, id := range got {
			if id < 0 || id >= tok.Vocab() {
				t.Errorf("%q: id %d, and the vocabulary has %d", text, id, tok.Vocab())
			}
		}
	}
}
