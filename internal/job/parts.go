package job

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// These are files in the folder of the parts.
const (
	requestFile = "request.json" // a request
	foundFile   = "found.json"   // what was found
)

// mostCommon is the size in bytes of the largest of these files that is read.
const mostCommon = 1 << 30

// request is what parts are asked to make together.
type request struct {
	Conversion     // with absolute paths
	Tasks      int `json:"tasks,omitempty"` // that a script was printed for; 0: none was
}

// found is what parts have in common that follows from the weights.
type found struct {
	Sizes     plan.Sizes       `json:"sizes"`
	Constants []calib.Constant `json:"constants,omitempty"` // see mla.Input
}

// Plan prepares a conversion that parts will make, on several machines, and that is then joined
// (Part). It looks at headers alone, and puts down what was asked for in a folder beside the
// output. Tasks is how many a script is printed for; 0: none is. The outcome has no plan if the
// search finds its sizes. The stages are those that parts go through.
func (c Conversion) Plan(ctx context.Context, v View, tasks int) (*Outcome, []Stage, error) {
	if c.Distill > 0 {
		return nil, nil, plan.Misuse("%v trains all layers together, which parts do not share", option.Distill.Is(c.Distill)).Try("convert on one machine, or leave it out")
	}
	if err := c.absolute(); err != nil {
		return nil, nil, err
	}
	model, err := OpenSource(c.In, c.Config)
	if err != nil {
		return nil, nil, err
	}
	defer model.Source.Close()
	if err := convert.Check(model, c.Out, c.Force); err != nil {
		return nil, nil, noFolder(c.Out, err)
	}
	looking := &run{Conversion: c, View: v, model: model}
	looking.DryRun = true // what this machine has does not matter
	choices, stats, err := looking.prepare(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer stats.done()
	done := &Outcome{}
	if sizes := choices.Sizes(); sizes.Planned() {
		if done, err = looking.plan(choices, sizes, stats); err != nil {
			return nil, nil, err
		}
	}
	share, err := c.share()
	if err != nil {
		return nil, nil, err
	}
	return done, c.stages(choices, share), request{c, tasks}.put()
}

// put puts the request down, unless it is there already.
func (q request) put() (err error) {
	parts, err := checkpoint.OpenParts(fsys.OS{}, q.Out, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, parts.Close()) }()
	var before request
	err = getCommon(parts, requestFile, &before)
	if errors.Is(err, fs.ErrNotExist) {
		return putCommon(parts, requestFile, q)
	}
	if err != nil {
		return err
	}
	now, then := q, before
	now.Tasks, then.Tasks = 0, 0
	if !same(now, then) {
		return plan.Misuse("something else is planned for %q already", q.Out).Try("go on with it, or remove %q first", parts.Path())
	}
	return putCommon(parts, requestFile, q)
}

// same reports whether two requests ask for the same.
func same(a, b request) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return errors.Join(err, err2) == nil && string(x) == string(y)
}

// putCommon publishes a file that all parts read.
func putCommon(parts *checkpoint.Parts, name string, content any) error {
	text, err := json.Marshal(content)
	if err != nil {
		return err
	}
	return parts.Write(name, text)
}

// getCommon reads a file that all parts read. It returns fs.ErrNotExist if it is not there.
func getCommon(parts *checkpoint.Parts, name string, content any) error {
	text, err := fsys.ReadFile(parts, name, mostCommon)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, content); err != nil {
		return &checkpoint.FormatError{Path: filepath.Join(parts.Path(), name), What: err.Error(), Tip: "remove the folder and plan again"}
	}
	return nil
}

// absolute makes the paths of the inputs those that any process finds.
func (c *Conversion) absolute() error {
	if selected := string(c.Select); strings.HasSuffix(selected, ".pth") {
		return plan.Misuse("%v is a file, which parts do not share", option.RopeSelect.Is(selected)).Try("convert on one machine")
	}
	paths := []*string{&c.In, &c.Config}
	paths = append(paths, &c.IDs, &c.Data.Text)
	for i := range c.Stats {
		paths = append(paths, &c.Stats[i])
	}
	for _, path := range paths {
		if *path == "" {
			continue
		}
		whole, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = whole
	}
	return nil
}
