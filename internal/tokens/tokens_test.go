package tokens

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		`[1, 2, 3]`:                "[[1 2 3]]",
		` [[1,2],[],[3]] `:         "[[1 2] [3]]",
		`[]`:                       "no token ids",
		`[[]]`:                     "no token ids",
		`[1,[2]]`:                  "mixed",
		`[1,10]`:                   "token id 10, and the vocabulary has 10",
		`[1,-2]`:                   "non-negative integer",
		`[1,2.5]`:                  "non-negative integer",
		`["1"]`:                    "non-negative integer",
		`[[[1]]]`:                  "non-negative integer",
		`{"ids":[1]}`:              "where an array belongs",
		`[1,2`:                     "too early",
		`[1,2] [3]`:                "the end",
		`[99999999999999999999]`:   "non-negative integer",
		`[1,18446744073709551615]`: "vocabulary",
	} {
		got, err := parseJSON(strings.NewReader(text), &ids{vocab: 10})
		if err != nil {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", text, err, want)
			}
		} else if fmt.Sprint(got) != want {
			t.Errorf("%s: %v, want %s", text, got, want)
		}
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ids.json")
	if err := os.WriteFile(path, []byte("[7"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(t.Context(), path, 10); !errors.As(err, new(*checkpoint.FormatError)) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want a FormatError with the path", err)
	}
	if _, err := Read(t.Context(), path+"x", 10); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want os.ErrNotExist", err)
	}
}

func TestCut(t *testing.T) {
	sequences := [][]int{{0, 1, 2, 3, 4, 5, 6}, {7}, {8, 9}}
	for _, c := range []struct {
		length, most int
		want         string
	}{
		{10, 0, "[[0 1 2 3 4 5 6] [8 9]]"},
		{3, 0, "[[0 1 2] [3 4 5] [8 9]]"},
		{4, 0, "[[0 1 2 3] [4 5 6] [8 9]]"},
		{3, 5, "[[0 1 2] [3 4]]"},
		{3, 4, "[[0 1 2]]"},
		{3, 1, "[]"},
	} {
		if got := fmt.Sprint(Cut(sequences, c.length, c.most)); got != c.want {
			t.Errorf("length %d, most %d: %s, want %s", c.length, c.most, got, c.want)
		}
	}
}

// FuzzParse feeds arbitrary text to the token reader: what it accepts are ids
// of the vocabulary.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`[1,2]`, `[[1],[2,3]]`, `[1e3]`, `[`, `[[[`, `[1,[`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		sequences, err := parseJSON(strings.NewReader(string(text)), &ids{vocab: 100})
		if err != nil {
			return
		}
		for _, s := range sequences {
			for _, id := range s {
				if len(s) == 0 || id < 0 || id >= 100 {
					t.Fatalf("accepted %v", s)
				}
			}
		}
	})
}

func TestSkip(t *testing.T) {
	for n, want := range map[int]string{0: "[[1 2] [3] [4 5 6]]", 1: "[[2] [3] [4 5 6]]", 2: "[[3] [4 5 6]]", 4: "[[5 6]]", 6: "[]", 9: "[]"} {
		sequences := [][]int{{1, 2}, {3}, {4, 5, 6}}
		if got := fmt.Sprint(Skip(sequences, n)); got != want {
			t.Errorf("skipping %d leaves %s, want %s", n, got, want)
		}
		if fmt.Sprint(sequences) != "[[1 2] [3] [4 5 6]]" {
			t.Error("the sequences themselves changed")
		}
	}
}
