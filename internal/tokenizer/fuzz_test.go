package tokenizer

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// FuzzTokenizer feeds arbitrary bytes to both readers: what they accept encodes
// any text, into ids of its vocabulary. The seeds are small, for large ones take
// minutes to be made small.
func FuzzTokenizer(f *testing.F) {
	small := `{"version":"1.0","model":{"vocab":{"a":0,"b":1,"ab":2,"<0x41>":3},"merges":["a b"],"unk_token":"a"`
	for _, rest := range []string{
		`,"byte_fallback":true,"fuse_unk":true},"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}}`,
		`},"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"},"added_tokens":[{"id":0,"content":"a","lstrip":true,"rstrip":true},{"id":9,"content":"b a","normalized":true}]}`,
		`},"pre_tokenizer":{"type":"Split","pattern":{"Regex":"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"},"behavior":"Isolated"}}`,
		`},"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Digits"},{"type":"ByteLevel"}]},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"a"}},{"Sequence":{"id":"A"}}],"special_tokens":{"a":{"ids":[0]}}}}`,
	} {
		if _, err := parseJSON([]byte(small + rest)); err != nil {
			f.Fatal(err) // a seed that grows nothing
		}
		f.Add([]byte(small+rest), "ab 12 A")
	}
	f.Add(model(bpeTrainer, "", entry("?", 0, unknownPiece), entry("a", 1, normalPiece), entry("aa", 2, userPiece)), "a aa")
	f.Fuzz(func(t *testing.T, file []byte, text string) {
		for _, parse := range []func([]byte) (*Tokenizer, error){parseJSON, parseModel} {
			tok, err := parse(file)
			if err != nil {
				continue
			}
			ids, err := tok.Encode(text)
			if err != nil {
				continue
			}
			for _, id := range ids {
				if id < 0 || id >= tok.Vocab() {
					t.Fatalf("id %d, and the vocabulary has %d", id, tok.Vocab())
				}
			}
		}
	})
}

// FuzzEncode encodes arbitrary text. The ids of byte-level tokenizers are the
// text again, and two ways to the ids of SentencePiece agree.
func FuzzEncode(f *testing.F) {
	v := readJSON[vectors](f, "testdata/vectors.json")
	for _, text := range v.Texts {
		f.Add(text)
	}
	toks := map[string]*Tokenizer{}
	for _, c := range v.Tokenizers {
		patch := map[string]json.RawMessage{"added_tokens": json.RawMessage("[]"), "post_processor": json.RawMessage("null")}
		for name, value := range c.Patch {
			patch[name] = value
		}
		switch c.Name {
		case "as trained", "gpt2", "llama3", "cl100k", "smollm", "llama2":
			tok, err := parseJSON(patched(f, c.Base, patch))
			if err != nil {
				f.Fatal(err)
			}
			tok.before, tok.after = nil, nil
			toks[c.Name] = tok
		}
	}
	stories, err := Open(checkpoint.Folder("../../testdata/stories260k"))
	if err != nil {
		f.Fatal(err)
	}
	stories.before = nil
	texts := map[int]string{}
	for token, id := range toks["gpt2"].text.(*pipeline).model.vocab {
		texts[int(id)] = token
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, err := stories.Encode(text)
		if (err == nil) != utf8.ValidString(text) {
			t.Fatal(err)
		}
		for name, tok := range toks {
			ids, encodeErr := tok.Encode(text)
			switch {
			case (encodeErr == nil) != (err == nil):
				t.Fatalf("%s: got %v, want what the other says: %v", name, encodeErr, err)
			case err != nil:
			case name == "llama2":
				if !slices.Equal(ids, want) {
					t.Errorf("%v from tokenizer.json, %v from tokenizer.model", ids, want)
				}
			default:
				var got strings.Builder
				for _, id := range ids {
					got.WriteString(texts[id])
				}
				if got.String() != visible(text) {
					t.Errorf("%s: the tokens of %q spell %q, want the text", name, visible(text), got.String())
				}
			}
		}
	})
}
