package tokenizer

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// TestEncodeSome: of a long text no more is read and encoded than it takes, and what is
// there is what the whole begins with.
func TestEncodeSome(t *testing.T) {
	for _, dir := range []string{"../../testdata/stories260k"} {
		tok, err := Open(checkpoint.Folder(dir))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat("Once upon a time, there was a little girl — ça va, naïve 日本語?\n", 20000)
		want, err := tok.Encode(text)
		if err != nil {
			t.Fatal(err)
		}
		allow := func(int64) error { return nil }
		for _, most := range []int{0, 1, 2, 100, 5000, 100000, len(want), len(want) + 1} {
			r := strings.NewReader(text)
			got, err := tok.EncodeSome(r, most, allow)
			if n := min(most, len(want)); err != nil || !slices.Equal(got[:min(n, len(got))], want[:n]) || most == 0 && !slices.Equal(got, want) {
				t.Errorf("%d of %d: got %d, %v", most, len(want), len(got), err)
			}
			if read := len(text) - r.Len(); most > 0 && most < 1000 && read > 1<<17 {
				t.Errorf("%d: read %d bytes", most, read)
			}
		}
		full := errors.New("full")
		if _, err := tok.EncodeSome(strings.NewReader(text), 0, func(int64) error { return full }); !errors.Is(err, full) {
			t.Errorf("no memory: %v", err)
		}
	}
}

// TestRecords: lines of JSON are no text, and what only looks like them is.
func TestRecords(t *testing.T) {
	for text, want := range map[string]bool{
		`{"text":"a"}` + "\n" + `{"text":"b"}` + "\n": true, "\n" + `{"text":"a"}`: true, `{"text":"a"}` + "\n" + `{"te`: true,
		"": false, "{\n  \"a\": 1\n}": false, "{a} b": false, `{"a":1}` + "\nand more": false, "a\n{}": false,
	} {
		if isRecords([]byte(text)) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
