package cli

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// reserve makes sure that out may be written, by this process alone. A dry run writes
// nothing, and gets nil.
func reserve(m *family.Model, out string, o *convertFlags) (output *checkpoint.Output, err error) {
	if o.dryRun {
		err = convert.Check(m, out, o.force)
	} else {
		output, err = convert.Reserve(m, out, checkpoint.Replace{Force: o.force, Resume: o.resume})
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &usageError{what: fmt.Sprintf("the folder of OUT %q does not exist", out), tip: "create it first"}
	}
	return output, err
}

// checkSpace makes sure that there is room for the weights, as far as their sizes are
// known yet. A run that is resumed may have most of them.
func checkSpace(choices *plan.Choices, out string, o *convertFlags, output *checkpoint.Output) error {
	sizes := choices.Sizes()
	if o.dryRun || o.resume || !sizes.Planned() {
		return nil
	}
	p, err := plan.New(out, choices, sizes)
	if err != nil {
		return err
	}
	return output.CheckSpace(p.Bytes)
}
