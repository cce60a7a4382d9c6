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
		got, err := Read(path, c.vocab)
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
	got, err := Read(path, 6)
	if err != nil || len(got) != 1 || len(got[0]) != len(content)/2 {
		t.Fatalf("%d sequences, %v", len(got), err)
	}
}

// TestReadDirectory makes sure that what is no fault of the format is not
// reported as one.
func TestReadDirectory(t *testing.T) {
	_, err := Read(t.TempDir(), 6)
	if err == nil || errors.As(err, new(*checkpoint.FormatError)) {
		t.Errorf("got %v", err)
	}
}
