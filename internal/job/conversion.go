package job

import (
	"context"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// Conversion is a conversion that somebody asks for.
type Conversion struct {
	In, Out string
	Config  string // file to take the configuration from; empty: In has it
	plan.Request
	Data
	Limits
	checkpoint.Replace
	MaxKL  *float64 // nothing is published that diverges further, in nats per token; nil: all is
	DryRun bool     // plan, and touch nothing

	Version string // of the program, for the files' metadata
	// Build tells the program from others of the same version; nil or empty if the version does.
	Build func(ctx context.Context) string `json:"-"`
	Words option.Words                     `json:"-"` // in which the output says how it was made; nil: plain ones
}

// Data says what a conversion goes by beside the weights.
type Data struct {
	Stats   []string // files of statistics, which are added up
	Reading          // of the user's text, if it names any
	None    bool     // no text and no statistics are wanted
	Mix     *float64 // share of text that the model makes itself; nil: what is usual
	Made    int      // tokens that the model makes, where it does
}

// Outcome is what a conversion has done, or would do.
type Outcome struct {
	Plan       *plan.Plan
	Memory     int64           // bytes, estimated, with one layer at a time
	Text       *convert.Text   // that statistics are or will be of; nil: there are none
	Calibrated bool            // there were statistics at hand
	Unmade     error           // why the model has made no text that it should have; nil: it has
	Foretold   *Foretold       // of a dry run: how long healing takes; nil: nothing is healed in steps
	Result     *convert.Result // nil: of a dry run
}

// run is a conversion under way.
type run struct {
	Conversion
	View
	model  *family.Model
	output *checkpoint.Output       // reserved; nil: in a dry run, and for parts
	light  bool                     // layers are converted, and all else is done by other processes
	temp   func(name string) string // names a file that no other process uses; nil: in a dry run
}
