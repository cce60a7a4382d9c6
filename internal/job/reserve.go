package job

import (
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// reserve makes sure that the output may be written, by this process alone, before the
// stages, which take time. A dry run writes nothing, and gets nil.
func (c Conversion) reserve(m *family.Model) (output *checkpoint.Output, err error) {
	if c.DryRun {
		err = convert.Check(m, c.Out, c.Force)
	} else {
		replace := c.Replace
		replace.Keep = c.learns()
		output, err = convert.Reserve(m, c.Out, replace)
	}
	return output, noFolder(c.Out, err)
}

// learns reports whether layers learn in steps, which takes too long to be lost with a run that is
// interrupted.
func (c Conversion) learns() bool { return c.Distill > 0 || c.Heal != nil && c.Heal.Least() > 0 }

// unfinishedError says that a run was interrupted, and that another can go on.
type unfinishedError struct{ error }

func (e *unfinishedError) Unwrap() error { return e.error }

// Remedy says how.
func (e *unfinishedError) Remedy() option.Text {
	return option.Textf("what is complete stays; the same command with %v goes on", option.Resume)
}

// noFolder is err, in other words if it says that there is no folder for the output out.
func noFolder(out string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return plan.Misuse("the folder of OUT %q does not exist", out).Try("create it first")
	}
	return err
}

// checkSpace makes sure that there is room for the weights, as far as their sizes are
// known yet. A run that is resumed may have most of them.
func (r *run) checkSpace(choices *plan.Choices) error {
	sizes := choices.Sizes()
	if r.output == nil || r.Resume || !sizes.Planned() {
		return nil
	}
	p, err := plan.New(r.Out, choices, sizes)
	if err != nil {
		return err
	}
	return r.output.CheckSpace(p.Bytes)
}

// numbered returns a function that names one temporary file after the other. Several goroutines
// may call it.
func (r *run) numbered(name string) func() string {
	var files atomic.Int64
	return func() string {
		return r.temp(fmt.Sprintf("%s-%d", name, files.Add(1)))
	}
}
