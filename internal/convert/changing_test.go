package convert_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mha2mla/mha2mla/internal/budget"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// TestChangingInput changes the input while it is converted: that is an error, and
// nothing is published.
func TestChangingInput(t *testing.T) {
	for name, c := range map[string]struct {
		change func(path string) error
		want   []string // one of these
	}{
		"touched":   {func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1e9, 0)) }, []string{"changed while it was read"}},
		"shrunken":  {func(path string) error { return os.Truncate(path, 3000) }, []string{`became shorter while tensor "model.`, "changed while it was read"}},
		"removed":   {os.Remove, []string{"changed while it was read"}},
		"scribbled": {scribble, []string{"changed while it was read", "cannot be computed with"}},
	} {
		dir := testmodel.Llama{Layers: 6}.Write(t)
		m := testmodel.Open(t, dir)
		out := filepath.Join(t.TempDir(), "out")
		var once sync.Once
		progress := func(int64, int64) {
			once.Do(func() {
				if err := c.change(filepath.Join(dir, checkpoint.SingleFile)); err != nil {
					t.Error(err)
				}
			})
		}
		_, err := convertTo(m, out, plan.Request{}, convert.Options{Budget: budget.Budget{Jobs: 1}, Progress: progress})
		known := false
		for _, want := range c.want {
			known = known || err != nil && strings.Contains(err.Error(), want)
		}
		if !known || !errors.As(err, new(*checkpoint.FormatError)) && !errors.As(err, new(*checkpoint.ValueError)) {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(out), "*")); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
}

// scribble writes over a part of a file.
func scribble(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(strings.Repeat("\x00\x00\x80\x3f", 5000)), 6000)
	return errors.Join(err, f.Close())
}
