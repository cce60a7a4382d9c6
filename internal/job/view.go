package job

import (
	"github.com/mha2mla/mha2mla/internal/distill"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/option"
)

// View is what people see of a job while it runs.
type View interface {
	// Progress returns a function that shows how far some work is, nil if nobody looks, and
	// one that takes it off the screen.
	Progress(what string) (report func(done, total int64), finish func())

	// Healing is Progress for the healing of layers.
	Healing() (report func(heal.Progress), finish func())

	// Distilling is Progress for the training of all layers.
	Distilling() (report func(distill.Progress), finish func())

	Warn(option.Text) // of what is probably not meant
	Hint(option.Text) // at what might be done better
}
