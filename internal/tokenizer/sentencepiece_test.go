package tokenizer

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// TestStories turns the ids that come with the checkpoint into text, which must
// give the same ids: they were made by others, with this tokenizer.model.
func TestStories(t *testing.T) {
	ids := readJSON[[]int](t, "../../testdata/stories260k/tinystories.ids.json")
	tok, err := Open(checkpoint.Folder("../../testdata/stories260k"))
	if err != nil {
		t.Fatal(err)
	}
	s := tok.text.(*sentencePiece)
	texts := map[int]string{}
	for text, p := range s.pieces {
		texts[int(p.id)] = strings.ReplaceAll(text, space, " ")
	}
	for b, id := range s.bytes {
		texts[int(id)] = string([]byte{byte(b)})
	}
	var text strings.Builder
	for _, id := range ids[1:] { // the first begins the text
		text.WriteString(texts[id])
	}
	got, err := tok.Encode(strings.TrimPrefix(text.String(), " "))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, ids) {
		t.Errorf("%d ids, not the %d of the file", len(got), len(ids))
	}
}

// model writes a tokenizer.model: a protobuf of pieces, trainer and normalizer.
func model(trainer, normalizer string, pieces ...string) []byte {
	var b []byte
	put := func(number byte, message string) {
		b = append(b, number<<3|bytesOf, byte(len(message)))
		b = append(b, message...)
	}
	for _, p := range pieces {
		put(1, p)
	}
	put(2, trainer)
	put(3, normalizer)
	return b
}

// entry writes a piece of type kind whose score, the more the sooner, is the
// one of a float32 with this exponent.
func entry(text string, exponent, kind byte) string {
	return "\x0a" + string(rune(len(text))) + text + "\x15\x00\x00\x00" + string(rune(exponent)) + "\x18" + string(rune(kind))
}

const (
	bpeTrainer = "\x18\x02"
	keepSpaces = "\x18\x00\x20\x00\x28\x00" // no dummy prefix, no trimming, no escaping
)

func TestSentencePieceRules(t *testing.T) {
	unknown := entry("?", 0, unknownPiece)
	chars := []string{unknown, entry("a", 1, normalPiece), entry("b", 1, normalPiece), entry(" ", 1, normalPiece)}
	with := func(more ...string) []string { return append(slices.Clone(chars), more...) }
	for name, c := range map[string]struct {
		file []byte
		text string
		want []int
	}{
		"leftmost of equals": {model(bpeTrainer, keepSpaces, with(entry("ab", 3, normalPiece), entry("ba", 3, normalPiece))...), "aba", []int{4, 1}},
		"best score":         {model(bpeTrainer, keepSpaces, with(entry("ab", 3, normalPiece), entry("ba", 4, normalPiece))...), "aba", []int{1, 5}},
		"unknown, fused":     {model(bpeTrainer, keepSpaces, chars...), "axyb", []int{1, 0, 2}},
		"user-defined":       {model(bpeTrainer, keepSpaces, with(entry("ab", 3, normalPiece), entry("bb", 4, userPiece))...), "abbab", []int{1, 5, 4}},
		"spaces kept":        {model(bpeTrainer, keepSpaces, chars...), " a  b ", []int{3, 1, 3, 3, 2, 3}},
		"spaces trimmed":     {model(bpeTrainer, "\x28\x00", chars...), "  a  b ", []int{3, 1, 3, 2}},
		"spaces alone":       {model(bpeTrainer, "\x28\x00", chars...), "   ", nil},
		"escaped":            {model(bpeTrainer, "", chars...), "a", []int{0, 1}},
		"control piece":      {model(bpeTrainer, keepSpaces, unknown, entry("a", 1, controlPiece)), "a", []int{1, 0}},
		"no begin of text":   {model(bpeTrainer+"\xc8\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", keepSpaces, unknown, entry("a", 1, controlPiece)), "a", []int{0}},
	} {
		t.Run(name, func(t *testing.T) {
			tok, err := parseModel(c.file)
			if err != nil {
				t.Fatal(err)
			}
			check(t, tok, []string{c.text}, [][]int{c.want})
		})
	}
}

// TestLinear encodes what takes hours if each merge looks at the whole text.
func TestLinear(t *testing.T) {
	tok, err := Open(checkpoint.Folder("../../testdata/stories260k"))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for _, text := range []string{strings.Repeat("a", 1<<18), strings.Repeat("once upon a time ", 1<<14)} {
		if _, err := tok.Encode(text); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v, want at most 20s", took)
	}
}
