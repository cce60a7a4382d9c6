package convert_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/testmodel"
)

// TestSourceChanges: a source that is written to while it is read gives nothing.
func TestSourceChanges(t *testing.T) {
	m := testmodel.Llama{}.Open(t)
	parent := t.TempDir()
	var once sync.Once
	touch := func(int64, int64) {
		once.Do(func() {
			if err := os.Chtimes(m.Source.Files()[0], time.Time{}, time.Unix(1, 0)); err != nil {
				t.Error(err)
			}
		})
	}
	_, err := convertTo(m, filepath.Join(parent, "out"), plan.Options{Rank: 8, RopeDims: 4, Theta: 100}, convert.Options{Progress: touch})
	if !errors.As(err, new(*checkpoint.FormatError)) || !strings.Contains(err.Error(), "changed while it was read") {
		t.Errorf("got %v", err)
	}
	if left := files(t, parent); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}
