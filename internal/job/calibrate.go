package job

import (
	"context"
	"path/filepath"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/sample"
)

// Calibration is statistics that somebody asks for.
type Calibration struct {
	In, Out string
	Config  string   // file to take the configuration from; empty: In has it
	Reading          // of the user's text; if it names none, the model makes some
	Made    int      // tokens that the model makes, where it does
	Add     []string // files of statistics to add to: then no text is made
	Force   bool     // replace Out
	Jobs    int
	Memory  int64 // bytes that the weights must fit into for text to be written, not redrawn; 0: half of the machine's
}

// Calibrated is what was gathered, and of what model.
type Calibrated struct {
	calib.Info
	Made  *sample.Plan // how the model has made the text; nil: it was given
	Model *family.Model
}

// Run gathers the statistics.
func (c Calibration) Run(ctx context.Context, v View) (*Calibrated, error) {
	Limits{Jobs: c.Jobs}.Set()
	m, err := OpenSource(c.In, c.Config)
	if err != nil {
		return nil, err
	}
	defer m.Source.Close()
	if err := checkpoint.CheckOutput(m.Source, filepath.Dir(c.Out), []string{filepath.Base(c.Out)}, false, c.Force); err != nil {
		return nil, err
	}
	add, err := openStats(m, c.Add)
	if err != nil {
		return nil, err
	}
	defer closeStats(add)
	text, made, err := c.text(ctx, v, m)
	if err != nil {
		return nil, err
	}
	if err := Room(calib.Memory(m, text)); err != nil {
		return nil, err
	}
	progress, finish := v.Progress("calibrating")
	info, err := calib.Gather(ctx, m, text, add, c.Out, c.Force, progress)
	finish()
	return &Calibrated{info, made, m}, err
}

// text returns the text to run on, and if the model has made it how.
func (c Calibration) text(ctx context.Context, v View, m *family.Model) (text calib.Text, made *sample.Plan, err error) {
	switch {
	case c.named():
		windows, err := c.Windows(ctx, m)
		if err == nil {
			warnOfFew(v, int64(windows.Tokens()), m)
		}
		return calib.Hold(windows), nil, err
	case len(c.Add) > 0:
		return text, nil, nil
	}
	g := gatherer{View: v, model: m, memory: c.Memory, temp: func(name string) string {
		return filepath.Join(filepath.Dir(c.Out), "."+filepath.Base(c.Out)+"."+name)
	}}
	p := g.plan(c.Made)
	text, err = g.makeText(ctx, p, calib.Text{})
	return text, &p, err
}
