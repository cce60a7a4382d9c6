package job

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/sample"
	"github.com/mha2mla/mha2mla/internal/search"
)

// Part is a process that works on a conversion which was planned, beside others perhaps.
type Part struct {
	Out string
	Limits

	Version string                           // see Conversion
	Build   func(ctx context.Context) string // see Conversion
	Words   option.Words                     // see Conversion
}

// AgainError says that nothing is wrong, and that it may succeed later or elsewhere.
type AgainError struct{ Err error }

func (e *AgainError) Error() string { return e.Err.Error() }

// Unwrap returns what has happened.
func (e *AgainError) Unwrap() error { return e.Err }

// Kind says that it may succeed later.
func (e *AgainError) Kind() fault.Kind { return fault.Again }

// again tells errors of this machine at this time from others.
func again(err error) error {
	if errors.As(err, new(*MemoryError)) || errors.As(err, new(*checkpoint.BusyError)) {
		return &AgainError{err}
	}
	return err
}

// Search finds what all parts have in common: the statistics that parts have gathered, added up,
// the sizes that are left open, and what stands for biases. It is what a part waits for.
func (p Part) Search(ctx context.Context, v View) (err error) {
	w, err := p.open(v, StageSearch)
	if err != nil {
		return again(err)
	}
	defer w.close(&err)
	if there, err := fsys.Exists(w.parts, foundFile); there || err != nil {
		return err
	}
	t, err := w.said(ctx)
	if err != nil {
		return err
	}
	if err := w.addUp(ctx, t); err != nil {
		return err
	}
	if err := w.gathered(t); err != nil {
		return again(err)
	}
	w.warnOfFew(w.stats)
	f, err := w.find(ctx)
	if err != nil {
		return err
	}
	if err := putCommon(w.parts, foundFile, f); err != nil {
		return err
	}
	return w.removeChunks(t)
}

// find searches, and announces what all parts belong to.
func (w *work) find(ctx context.Context) (f found, err error) {
	f.Sizes, err = w.search(ctx, search.Task{
		Input: mla.Input{Model: w.model, Stats: w.stats.Reader}, Choices: w.choices, Budget: w.Limits.budget(), Held: w.stats.held, Temp: w.numbered("rehearsal"),
	})
	if err != nil {
		return f, err
	}
	done, err := w.plan(w.choices, f.Sizes, w.stats)
	if err != nil {
		return f, err
	}
	if w.stats.Reader == nil && done.Plan.Maths.FoldsBiases(w.model) {
		f.Constants, err = sample.Constants(ctx, w.model, func() string { return w.temp("constants") }, w.preparing())
		if err != nil {
			return f, err
		}
	}
	var o convert.Options
	w.fill(&o, w.stats)
	if o.Lesson, err = w.healedOn(ctx, done.Plan); err != nil {
		return f, err
	}
	return f, convert.Announce(ctx, done.Plan, o, w.parts)
}

// Convert makes those files of a share that nobody has made yet, and returns how many it has made.
func (p Part) Convert(ctx context.Context, v View, share convert.Share) (made int, err error) {
	w, err := p.open(v, StageConvert)
	if err != nil {
		return 0, again(err)
	}
	defer w.close(&err)
	done, o, err := w.common(ctx)
	if err != nil {
		return 0, err
	}
	if _, err := w.fitted(done.Plan); err != nil {
		return 0, err
	}
	w.fill(&o, w.stats)
	var finish func()
	o.Progress, finish = v.Progress("converting")
	defer finish()
	made, err = convert.Part(ctx, done.Plan, o, share)
	return made, again(err)
}

// work is the work of a part under way.
type work struct {
	*run
	asked   request
	parts   *checkpoint.Parts
	own     float64       // share of text of the model's own
	choices *plan.Choices // as far as they can be made yet
	stats   *statistics   // nil until they are gathered
}

// open opens what was planned.
func (p Part) open(v View, stage Stage) (*work, error) {
	p.Limits.Set()
	parts, err := checkpoint.OpenParts(fsys.OS{}, p.Out, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, plan.Misuse("nothing is planned for %q: there is no %q", p.Out, checkpoint.PartsOf(p.Out)).Try("plan it first")
	}
	if err != nil {
		return nil, err
	}
	w := &work{parts: parts}
	if err := w.prepare(p, v, stage); err != nil {
		return nil, errors.Join(err, parts.Close())
	}
	return w, nil
}

// prepare reads what was asked for, and chooses the same again.
func (w *work) prepare(p Part, v View, stage Stage) error {
	err := getCommon(w.parts, requestFile, &w.asked)
	if errors.Is(err, fs.ErrNotExist) {
		return plan.Misuse("nothing is planned in %q", w.parts.Path()).Try("plan it first")
	}
	if err != nil {
		return err
	}
	c := w.asked.Conversion
	c.Out, c.Limits, c.Version, c.Build, c.Words = p.Out, p.Limits, p.Version, p.Build, p.Words
	model, err := OpenSource(c.In, c.Config)
	if err != nil {
		return err
	}
	w.run = &run{Conversion: c, View: v, model: model, temp: w.parts.Scratch, light: stage != StageSearch && stage != StageFit}
	if w.choices, w.own, err = w.foresee(); err != nil {
		return errors.Join(err, model.Source.Close())
	}
	return nil
}

// gathered opens the statistics of texts, and makes the choices that they have a say in.
func (w *work) gathered(t *texts) (err error) {
	if w.stats, err = w.gatherer().open(t, w.own, w.path); err != nil {
		return err
	}
	w.choices, err = w.choose(w.choices, w.own, w.stats)
	return err
}

// path returns the path of a file in the folder of the parts.
func (w *work) path(name string) string { return filepath.Join(w.parts.Path(), name) }

// common returns the plan that follows from what all parts have in common, and options that say
// it. It is an error that says to try again if that is not found yet.
func (w *work) common(ctx context.Context) (*Outcome, convert.Options, error) {
	var f found
	err := getCommon(w.parts, foundFile, &f)
	if errors.Is(err, fs.ErrNotExist) {
		err = &convert.UnsearchedError{Folder: w.parts.Path()}
	}
	if err != nil {
		return nil, convert.Options{}, err
	}
	t, err := w.said(ctx)
	if err == nil {
		err = w.gathered(t)
	}
	if err != nil {
		return nil, convert.Options{}, again(err)
	}
	done, err := w.plan(w.choices, f.Sizes, w.stats)
	if err != nil {
		return nil, convert.Options{}, err
	}
	o := convert.Options{Budget: w.Limits.budget(), Constants: f.Constants, Parts: w.parts}
	o.Lesson, err = w.healedOn(ctx, done.Plan)
	return done, o, err
}

// close gives up what is open, and adds to err what fails then.
func (w *work) close(err *error) {
	if w.stats != nil {
		w.stats.done()
	}
	*err = errors.Join(*err, w.model.Source.Close(), w.parts.Close())
}
