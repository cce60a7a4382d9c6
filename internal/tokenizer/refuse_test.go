package tokenizer

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// TestUnsupported makes sure that what is not implemented is refused, by name
// and with the place where it stands.
func TestUnsupported(t *testing.T) {
	for _, c := range []struct{ member, value, want string }{
		{"version", `"2.0"`, `version: "2.0"`},
		{"extra", `1`, `the setting "extra"`},
		{"model", `{"type":"WordPiece"}`, `model: type "WordPiece"`},
		{"model", `{"type":"Unigram"}`, `type "Unigram"`},
		{"model", `{"dropout":0.1}`, "dropout 0.1"},
		{"model", `{"end_of_word_suffix":"</w>"}`, `end_of_word_suffix "</w>"`},
		{"model", `{"continuing_subword_prefix":"##"}`, `continuing_subword_prefix "##"`},
		{"model", `{"max_input_chars_per_word":100}`, `the setting "max_input_chars_per_word"`},
		{"normalizer", `{"type":"Lowercase"}`, `normalizer: type "Lowercase"`},
		{"normalizer", `{"type":"Prepend","prepend":"_"}`, `prepending "_"`},
		{"normalizer", `{"type":"Replace","pattern":{"String":"a"},"content":"b"}`, `replacing "a" by "b"`},
		{"normalizer", `{"type":"Replace","pattern":{"Regex":"a+"},"content":"b"}`, `the regular expression "a+"`},
		{"normalizer", `{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"NFKC"}]}`, `normalizer.normalizers[1]: type "NFKC"`},
		{"normalizer", `{"a":1}`, "a component without a type"},
		{"pre_tokenizer", `{"type":"Whitespace"}`, `pre_tokenizer: type "Whitespace"`},
		{"pre_tokenizer", `{"type":"Split","pattern":{"Regex":"\\w+"},"behavior":"Isolated","invert":false}`, `the regular expression "\\w+"`},
		{"pre_tokenizer", `{"type":"Split","pattern":{"String":" "},"behavior":"Isolated","invert":false}`, `splitting at " "`},
		{"pre_tokenizer", `{"type":"Split","behavior":"Isolated"}`, "a split without a pattern"},
		{"pre_tokenizer", `{"type":"ByteLevel","new":true}`, `the setting "new"`},
		{"pre_tokenizer", `{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Digits"}]}`, "ByteLevel before Digits"},
		{"pre_tokenizer", `{"type":"Sequence","new":1}`, `the setting "new"`},
		{"pre_tokenizer", `{"type":"Metaspace","replacement":"_"}`, `the replacement "_"`},
		{"pre_tokenizer", `{"type":"Metaspace","replacement":"▁","prepend_scheme":"last"}`, `prepend_scheme "last"`},
		{"pre_tokenizer", `{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","add_prefix_space":false}`, "without add_prefix_space"},
		{"pre_tokenizer", nested("pretokenizers", 6), "a sequence in 4 sequences"},
		{"pre_tokenizer", `{"type":"Sequence","pretokenizers":[` + strings.Repeat(`{"type":"Digits"},`, 16) + `{"type":"Digits"}]}`, "a sequence of more than 16"},
		{"post_processor", `{"type":"RobertaProcessing"}`, `post_processor: type "RobertaProcessing"`},
		{"post_processor", `{"type":"TemplateProcessing","single":[],"pair":[],"special_tokens":{}}`, "the text 0 times"},
		{"added_tokens", `[{"id":0,"content":"<unk>","single_word":true}]`, `single_word, of "<unk>"`},
		{"added_tokens", `[{"id":0,"content":"` + strings.Repeat("a", 513) + `"}]`, "a token of 513 bytes"},
	} {
		_, err := parseJSON(patched(t, "bytelevel.json", map[string]json.RawMessage{c.member: json.RawMessage(c.value)}))
		if !errors.As(err, new(*UnsupportedError)) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.member, c.value, err, c.want)
		}
	}
	split := `{"type":"Split","pattern":{"Regex":` + string(marshal(t, gpt2Pattern)) + `},"behavior":"Removed","invert":false}`
	if _, err := parsePreTokenizer([]byte(split)); err == nil || !strings.Contains(err.Error(), `behavior "Removed"`) {
		t.Errorf("got %v, want an error that names the behavior", err)
	}
}

// nested returns sequences in sequences.
func nested(list string, depth int) string {
	return strings.Repeat(`{"type":"Sequence","`+list+`":[`, depth) + strings.Repeat(`]}`, depth)
}

// TestMalformed makes sure that a broken tokenizer.json gives an error that
// says where, and none that says it is not supported.
func TestMalformed(t *testing.T) {
	template := func(single string) string {
		return `{"type":"TemplateProcessing","single":[` + single + `,{"Sequence":{"id":"A","type_id":0}}],"special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]},"x":{"ids":[99999]}}}`
	}
	for _, c := range []struct{ member, value, want string }{
		{"model", `{"vocab":{}}`, "no vocabulary"},
		{"model", `{"vocab":{"a":0,"b":0}}`, `"a" and "b" have one id, 0`},
		{"model", `{"vocab":{"a":-1}}`, `"a" has id -1`},
		{"model", `{"vocab":{"a":2147483647}}`, `has id 2147483647`},
		{"model", `{"vocab":{"a":1.5}}`, "model.vocab.a"},
		{"model", `{"vocab":[]}`, "model.vocab: an array does not belong here"},
		{"model", `{"merges":["a b","x"]}`, `the merge "x" is not two parts`},
		{"model", `{"merges":["a b c"]}`, "is not two parts"},
		{"model", `{"merges":[["a"]]}`, "a merge of 1 parts"},
		{"model", `{"merges":[["a","ǵ"]]}`, `model.merges[0]: "ǵ" is not in the vocabulary`},
		{"model", `{"merges":[1]}`, "model.merges.0"},
		{"pre_tokenizer", `7`, "pre_tokenizer: this number does not belong here"},
		{"pre_tokenizer", `{"type":"ByteLevel","use_regex":"yes"}`, "pre_tokenizer.use_regex: this string does not belong here"},
		{"post_processor", template(`{"SpecialToken":{"id":"<t>","type_id":0}}`), `post_processor.single[0]: no special token "<t>"`},
		{"post_processor", template(`{"Sequence":{"id":"B","type_id":0}}`), `the sequence "B"`},
		{"post_processor", template(`{}`), "neither a special token nor a sequence"},
		{"post_processor", template(`{"SpecialToken":{"id":"x","type_id":0}}`), "token id 99999, and the vocabulary has 559"},
		{"added_tokens", `[{"id":-1,"content":"<unk>"}]`, "added_tokens[0]: token id -1"},
		{"added_tokens", `[{"id":7,"content":"<unk>"}]`, `"<unk>" has id 7, and 0 elsewhere`},
		{"added_tokens", `[{"id":700,"content":"x y"},{"id":701,"content":"x y"}]`, `"x y" has id 701, and 700 elsewhere`},
	} {
		_, err := parseJSON(patched(t, "bytelevel.json", map[string]json.RawMessage{c.member: json.RawMessage(c.value)}))
		if err == nil || errors.As(err, new(*UnsupportedError)) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.member, c.value, err, c.want)
		}
	}
	for text, want := range map[string]string{
		``:                               "invalid JSON",
		`[]`:                             "an array does not belong here",
		`{"version":"1.0"}`:              "no model",
		`{"version":"1.0","version":""}`: "duplicate",
		"{\"a\xff\":1}":                  "UTF-8",
	} {
		if _, err := parseJSON([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestMalformedSentencePiece(t *testing.T) {
	unknown, a := entry("?", 0, unknownPiece), entry("a", 1, normalPiece)
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":           {nil, "no SentencePiece vocabulary"},
		"text":              {[]byte("not a protobuf"), "protobuf"},
		"cut":               {model(bpeTrainer, "", unknown, a)[:11], "ends too early"},
		"unigram":           {model("", "", unknown, a), `model type "unigram" is not supported`},
		"char":              {model("\x18\x04", "", unknown, a), `model type "char" is not supported`},
		"new type":          {model("\x18\x09", "", unknown, a), "model type 9 is not supported"},
		"suffix":            {model(bpeTrainer+"\xc0\x01\x01", "", unknown, a), "treat_whitespace_as_suffix is not supported"},
		"replacements":      {model(bpeTrainer, "\x0a\x04nfkc\x12\x01x", unknown, a), `the normalization "nfkc" is not supported`},
		"unused piece":      {model(bpeTrainer, "", unknown, entry("a", 1, unusedPiece)), "piece 1: an unused piece is not supported"},
		"type of piece":     {model(bpeTrainer, "", unknown, entry("a", 1, 9)), "piece 1: type 9"},
		"no unknown":        {model(bpeTrainer, "", a), "no unknown piece"},
		"two unknown":       {model(bpeTrainer, "", unknown, entry("a", 1, unknownPiece)), "two unknown pieces"},
		"twice":             {model(bpeTrainer, "", unknown, a, a), `the piece "a" is there twice`},
		"empty piece":       {model(bpeTrainer, "", unknown, ""), `piece 1: "" is empty`},
		"not UTF-8":         {model(bpeTrainer, "", unknown, "\x0a\x01\xff"), "not UTF-8"},
		"not a number":      {model(bpeTrainer, "", unknown, "\x0a\x01a\x15\x00\x00\xc0\x7f"), "is not a number"},
		"wire type":         {model(bpeTrainer, "", unknown, "\x08\x01"), "piece 1: protobuf field 1 has wire type 0, not 2"},
		"few bytes":         {model(bpeTrainer+"\x98\x02\x01", "", unknown, entry("<0x41>", 1, bytePiece)), "byte fallback with 1 bytes"},
		"bytes for nothing": {model(bpeTrainer, "", unknown, entry("<0x41>", 1, bytePiece)), "without byte fallback"},
		"spaced symbol":     {model(bpeTrainer, "", unknown, entry("a b", 1, userPiece)), `the user-defined symbol "a b" is not supported`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parseModel(c.file); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(checkpoint.Folder(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
	path := filepath.Join(dir, "tokenizer.json")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"version":"1.0"`)
	if _, err := Open(checkpoint.Folder(dir)); !errors.As(err, new(*checkpoint.FormatError)) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want a FormatError with the path", err)
	}
	write(`{"version":"1.0","model":{"type":"Unigram"}}`)
	var refusal *UnsupportedError
	if _, err := Open(checkpoint.Folder(dir)); !errors.As(err, &refusal) || refusal.Path != path || refusal.Where != "model" || refusal.Hint() == "" {
		t.Errorf("got %v, want an UnsupportedError with the path and a hint", err)
	}
}

func TestInvalidText(t *testing.T) {
	tok, err := Open(checkpoint.Folder("../../testdata/stories260k"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tok.Encode("a\ufffd\xff"); err == nil || !strings.Contains(err.Error(), "at byte 4") {
		t.Errorf("got %v, want an error at byte 4", err)
	}
}

// TestNoUnknownToken encodes a character that the vocabulary lacks, as it lacks
// the token that would stand for it.
func TestNoUnknownToken(t *testing.T) {
	tok, err := parseJSON(patched(t, "bytelevel.json", map[string]json.RawMessage{
		"model": json.RawMessage(`{"vocab":{"a":0,"</s>":2,"<s>":1},"merges":[],"unk_token":"<u>"}`),
	}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tok.Encode("ab"); err == nil || !strings.Contains(err.Error(), `"b" is not in the vocabulary, nor is the unknown token "<u>"`) {
		t.Errorf("got %v, want an error that names b and the unknown token", err)
	}
}
