package calib

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
)

// FuzzFile feeds arbitrary files to the reader of statistics. What it accepts for
// a model can be read.
func FuzzFile(f *testing.F) {
	m := testmodel.Llama{Hidden: 4, Intermediate: 4, Layers: 1, Heads: 1, HeadDim: 2, Vocab: 4}.Open(f)
	path := filepath.Join(f.TempDir(), "model.stats")
	if _, err := Gather(context.Background(), m, Text{Kept: [][]int{{1, 2, 3}}}, nil, path, false, nil); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-8])
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "model.stats")
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
		file, err := Open(path)
		if err != nil {
			return
		}
		defer file.Close()
		if file.For(m) != nil {
			return
		}
		if s, err := file.Sums(0); err == nil && (s.Tokens <= 0 || len(s.Sample) == 0) {
			t.Errorf("accepted %+v", s)
		}
	})
}
