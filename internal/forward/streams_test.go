package forward

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// TestStreams: residual streams on the disk are those in memory, before and after they
// change, and nothing of them is left.
func TestStreams(t *testing.T) {
	m := testmodel.Llama{}.Open(t)
	windows := tokens.Windows{testmodel.Tokens(9, m.Vocab, 1), testmodel.Tokens(30, m.Vocab, 2), testmodel.Tokens(2, m.Vocab, 3)}
	temp := filepath.Join(t.TempDir(), "streams")
	onDisk, err := newStreams(windows, m.Hidden, 1, func() string { return temp })
	if err != nil {
		t.Fatal(err)
	}
	inMemory, err := NewStreams(windows, m.Hidden, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Streams{onDisk, inMemory} {
		if err := s.Embed(Decoder{Model: m}, windows); err != nil {
			t.Fatal(err)
		}
		x, err := s.Get(1)
		if err != nil {
			t.Fatal(err)
		}
		x.Data[5]++
		if err := s.Put(1, x); err != nil {
			t.Fatal(err)
		}
	}
	for i := range windows {
		got, err := onDisk.Get(i)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := inMemory.Get(i) // which cannot fail
		if got.Rows != want.Rows || got.Cols != want.Cols || !slices.Equal(got.Data, want.Data) {
			t.Errorf("the stream of window %d, [%d × %d], is not that in memory, [%d × %d]", i, got.Rows, got.Cols, want.Rows, want.Cols)
		}
	}
	for range 2 {
		if err := onDisk.Close(); err != nil {
			t.Errorf("closing failed: %v", err)
		}
	}
	if _, err := os.Lstat(temp); !os.IsNotExist(err) {
		t.Errorf("the file of streams is still there: %v", err)
	}
}
