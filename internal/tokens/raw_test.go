package tokens

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// TestReadByExtension reads the same bytes as what the extension says they are.
func TestReadByExtension(t *testing.T) {
	eight := "\x01\x00\x02\x00\x03\x00\x04\x00"
	for _, c := range []struct {
		name, content string
		vocab         int
		want          string
	}{
		{"a.u16", eight, 10, "[[1 2 3 4]]"},
		{"a.U16", eight, 10, "[[1 2 3 4]]"},
		{"a.u16", eight, 4, "token id 4, and the vocabulary has 4, at byte 6"},
		{"a.u16", eight[:5], 10, "no multiple of 2 bytes"},
		{"a.u16", "", 10, "no token ids"},
		{"a.u32", eight, 1 << 19, "[[131073 262147]]"},
		{"a.u32", eight, 1 << 18, "token id 262147, and the vocabulary has 262144, at byte 4"},
		{"a.u32", eight[:6], 1 << 19, "no multiple of 4 bytes"},
		{"a.ds", eight, 1 << 16, "[[1 2 3 4]]"},
		{"a.ds", eight, 1<<16 + 1, "token id 131073"},
		{"a.ds", eight, 1 << 19, "[[131073 262147]]"},
		{"a.bin", eight, 1 << 16, "[[1 2 3 4]]"},
		{"a.bin", eight, 1 << 19, "[[131073 262147]]"},
		{"a.npy", string(npy(1, vector, []uint16{1, 2, 3})), 10, "[[1 2 3]]"},
		{"a.json", "[1,2]", 10, "[[1 2]]"},
		{"a.txt", "[1,2]", 10, "[[1 2]]"},
		{"a", "[1,2]", 10, "[[1 2]]"},
		{"a.json", eight, 10, "invalid JSON"},
	} {
		path := filepath.Join(t.TempDir(), c.name)
		if err := os.WriteFile(path, []byte(c.content), 0o666); err != nil {
			t.Fatal(err)
		}
		got, err := Read(t.Context(), path, c.vocab)
		if err != nil {
			if !errors.As(err, new(*checkpoint.FormatError)) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", c.name, err, c.want)
			}
		} else if fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}

// TestRawBlocks reads a file larger than a block, whose size is no multiple of
// a block's.
func TestRawBlocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.u16")
	content := strings.Repeat("\x05\x00", 3*4096+7)
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	got, err := Read(t.Context(), path, 6)
	if err != nil || len(got) != 1 || len(got[0]) != len(content)/2 {
		t.Fatalf("got %d sequences, %v, want one of %d ids", len(got), err, len(content)/2)
	}
}

// TestReadDirectory makes sure that what is no fault of the format is not
// reported as one.
func TestReadDirectory(t *testing.T) {
	_, err := Read(t.Context(), t.TempDir(), 6)
	var format *checkpoint.FormatError
	if !errors.As(err, &format) || !strings.Contains(err.Error(), "a directory") || format.Tip != "" {
		t.Errorf("got %v, want a FormatError about a directory, without a tip", err)
	}
}

// TestReadSome reads the beginning of files, whatever follows.
func TestReadSome(t *testing.T) {
	for name, content := range map[string]string{
		"a.json": "[1,2,3,4,5,", "b.json": "[[1],[2,3],[4,5,6]], nonsense",
		"a.u16": "\x01\x00\x02\x00\x03\x00\x04\x00\x05", "a.u32": "\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff",
		"a.npy": string(npy(1, strings.Replace(vector, "3", "9", 1), []uint16{1, 2, 3, 4, 5})),
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(t.Context(), path, 10); err == nil {
			t.Errorf("%s: all of it was accepted, want an error", name)
		}
		sequences, err := ReadSome(t.Context(), path, 10, 4)
		if got := fmt.Sprint(slices.Concat(sequences...)); err != nil || got != "[1 2 3 4]" {
			t.Errorf("%s: got %s, %v, want [1 2 3 4]", name, got, err)
		}
	}
}

// endless repeats its text.
type endless string

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for n+len(e) <= len(p) {
		n += copy(p[n:], e)
	}
	return n, nil
}

// TestEndless: what never ends is given up.
func TestEndless(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a gigabyte")
	}
	if _, err := raw(2)(endless("\x01\x00"), &ids{vocab: 10}); err == nil || !strings.Contains(err.Error(), "more than 134217728 token ids") {
		t.Errorf("got %v, want an error about too many ids", err)
	}
}

// FuzzRaw feeds arbitrary bytes to the reader of plain ids: what it accepts are ids
// of the vocabulary, as many as the bytes hold, and some of them read alone are the
// first of all.
func FuzzRaw(f *testing.F) {
	f.Add([]byte("\x01\x00\x02\x00\x00\x00\x00\x00"), true, 1)
	f.Add([]byte("\x01\x00\x02\x00\x00\x00"), false, 2)
	f.Fuzz(func(t *testing.T, file []byte, wide bool, some int) {
		width := 2
		if wide {
			width = 4
		}
		sequences, err := raw(width)(bytes.NewReader(file), &ids{vocab: 1000})
		if err != nil {
			return
		}
		all := sequences[0]
		if len(sequences) != 1 || len(all)*width != len(file) {
			t.Fatalf("%d ids out of %d bytes", len(all), len(file))
		}
		if slices.ContainsFunc(all, func(id int) bool { return id < 0 || id >= 1000 }) {
			t.Fatalf("accepted %v", all)
		}
		if some = min(some, len(all)); some < 1 {
			return
		}
		first, err := raw(width)(bytes.NewReader(file), &ids{vocab: 1000, most: some})
		if err != nil || !slices.Equal(first[0], all[:some]) {
			t.Fatalf("%v, %v; want %v", first, err, all[:some])
		}
	})
}
