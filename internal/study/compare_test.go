package study

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

const stories = "../../testdata/stories260k"

// TestCompare compares on a real checkpoint, without data: every method is there, none
// takes more than it may, this program's is ahead of the others by far, and nothing
// is left behind.
func TestCompare(t *testing.T) {
	m := testmodel.Open(t, stories)
	sequences, err := tokens.Read(t.Context(), filepath.Join(stories, "tinystories.ids.json"), m.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r, err := Compare(context.Background(), mla.Input{Model: m}, tokens.Cut(sequences, 128, 1024), []int{32, 9}, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Tokens != 1024 || r.Source != 64 || len(r.Results) != 2*len(mla.Methods()) {
		t.Fatalf("%d tokens, %d floats, %d rows", r.Tokens, r.Source, len(r.Results))
	}
	for i, row := range r.Results {
		ours := r.Results[i/len(mla.Methods())*len(mla.Methods())]
		switch {
		case row.Floats > row.Cache || row.Setting == "":
			t.Errorf("%+v", row)
		case !row.Works: // nine floats are not enough for every method
			if row.Cache == 32 || row.Method == mla.MethodAttention {
				t.Errorf("%s cannot do with %d floats", row.Method, row.Cache)
			}
		case row.Method == mla.MethodAttention:
		case ours.Method != mla.MethodAttention || row.KL < 1.2*ours.KL:
			t.Errorf("%s: KL %g within %d floats, %g by %s", row.Method, row.KL, row.Cache, ours.KL, ours.Method)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestSettings: each setting is of its method, within the cache, and there is one
// at least.
func TestSettings(t *testing.T) {
	for _, method := range mla.Methods() {
		for _, headDim := range []int{8, 64, 128} {
			all := settings(method, 100, headDim)
			if len(all) == 0 {
				t.Errorf("%s has no settings for heads of %d", method, headDim)
			}
			for _, o := range all {
				if o.Method != method || o.Cache != 100 || o.RopeDims%2 != 0 || o.RopeDims > headDim {
					t.Errorf("%s, heads of %d: %+v", method, headDim, o)
				}
			}
		}
	}
}
