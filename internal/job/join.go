package job

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/manifest"
	"github.com/mha2mla/mha2mla/internal/option"
)

// Missing says what nobody has made yet: the first stage that has not ended, and what of it. Its
// fields are JSON output.
type Missing struct {
	Stage Stage    `json:"missing_stage"`
	Files []string `json:"missing_files"` // of the stage; nil if it is not shared out
	Of    int      `json:"files"`
	Tasks []int    `json:"missing_tasks,omitempty"` // of the script that was printed that make them; nil: none was
}

// Array lists the tasks as the flag --array of sbatch takes them; empty if there are none.
func (m *Missing) Array() string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(m.Tasks)), ","), "[]")
}

// missingError says besides which tasks of the script make what is missing.
type missingError struct {
	*convert.MissingError
	*Missing
}

// Hint says which tasks have to run again.
func (e *missingError) Hint() string {
	if len(e.Tasks) == 0 {
		return "run the parts that have not ended well again"
	}
	return "run these tasks again: " + e.Array()
}

// Missing finds out what nobody has made yet; nil if the output is joined already.
func (p Part) Missing(ctx context.Context, v View) (m *Missing, err error) {
	if joined, err := p.joined(); joined || err != nil {
		return nil, err
	}
	w, err := p.open(v, StageFinalize)
	if err != nil {
		return nil, again(err)
	}
	defer w.close(&err)
	if found, err := fsys.Exists(w.parts, foundFile); !found || err != nil {
		m, err := w.missingText(ctx)
		return m, err
	}
	done, _, err := w.common(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := w.fitted(done.Plan); errors.As(err, new(*convert.UnfittedError)) {
		return &Missing{Stage: StageFit}, nil
	} else if err != nil {
		return nil, err
	}
	shards, err := convert.Missing(done.Plan, w.parts)
	if len(shards) == 0 {
		return &Missing{Stage: StageFinalize}, err
	}
	return w.missing(&convert.MissingError{Plan: done.Plan, Shards: shards}), err
}

// missingText says what is missing before the search.
func (w *work) missingText(ctx context.Context) (*Missing, error) {
	t, err := w.said(ctx)
	if errors.As(err, new(*UnsaidError)) {
		return &Missing{Stage: StageText}, nil
	}
	if err != nil {
		return nil, err
	}
	todo, err := w.ungathered(t)
	if err != nil || !slices.Contains(todo, true) {
		return &Missing{Stage: StageSearch}, err
	}
	m := &Missing{Stage: StageCalibrate, Of: len(todo)}
	for i, c := range t.chunks() {
		if todo[i] {
			m.Files = append(m.Files, c.name())
		}
	}
	m.Tasks = w.tasks(func(s convert.Share) bool {
		for i, missing := range todo {
			if missing && dealt(s, i) {
				return true
			}
		}
		return false
	})
	return m, nil
}

// missing says what shards are missing, and which tasks make them.
func (w *work) missing(e *convert.MissingError) *Missing {
	m := &Missing{Stage: StageConvert, Of: len(e.Plan.Shards)}
	for _, i := range e.Shards {
		m.Files = append(m.Files, e.Plan.Shards[i].File)
	}
	m.Tasks = w.tasks(func(s convert.Share) bool {
		return slices.ContainsFunc(e.Shards, func(i int) bool { return s.Has(e.Plan, i) })
	})
	return m
}

// tasks lists those tasks of the script that was printed which concern is true of.
func (w *work) tasks(concern func(convert.Share) bool) (tasks []int) {
	for n := range w.asked.Tasks {
		if concern(convert.Share{Number: n, Of: w.asked.Tasks}) {
			tasks = append(tasks, n)
		}
	}
	return tasks
}

// Join puts together what parts have made, and publishes the output. If files are missing it waits
// for them so long, because a shared file system may only not show them yet. The outcome is nil if
// they were joined before.
func (p Part) Join(ctx context.Context, v View, wait time.Duration) (done *Outcome, err error) {
	joined, err := p.joined()
	if err != nil {
		return nil, err
	}
	if !joined {
		if done, err = p.join(ctx, v, wait); err != nil {
			return nil, again(err)
		}
	}
	if err := checkpoint.RemoveParts(fsys.OS{}, p.Out); err != nil && !errors.Is(err, fs.ErrNotExist) {
		v.Warn(option.Textf("%q is complete, and %q is left over: %v", p.Out, checkpoint.PartsOf(p.Out), err))
	}
	return done, nil
}

// joined reports whether the output is there already, joined.
func (p Part) joined() (there bool, err error) {
	parts, err := checkpoint.OpenParts(fsys.OS{}, p.Out, false)
	if errors.Is(err, fs.ErrNotExist) {
		m, err := manifest.Read(p.Out)
		return err == nil && m != nil, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, parts.Close()) }()
	return convert.Joined(p.Out, parts)
}

// join joins.
func (p Part) join(ctx context.Context, v View, wait time.Duration) (done *Outcome, err error) {
	w, err := p.open(v, StageFinalize)
	if err != nil {
		return nil, err
	}
	defer w.close(&err)
	done, o, err := w.common(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.await(ctx, done, wait); err != nil {
		return nil, err
	}
	if o.Won, err = w.fitted(done.Plan); err != nil { // not before all is there
		return nil, err
	}
	if w.output, err = convert.Reserve(w.model, w.Out, checkpoint.Replace{Force: w.Force, Resume: true}); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.output.Discard()) }()
	done.Result, err = w.convert(ctx, done.Plan, w.stats, o)
	var missing *convert.MissingError
	if errors.As(err, &missing) {
		err = &missingError{missing, w.missing(missing)}
	}
	return done, err
}

// await waits until every file has been made. It is a missingError if that takes too long.
func (w *work) await(ctx context.Context, done *Outcome, wait time.Duration) error {
	for until := time.Now().Add(wait); ; {
		shards, err := convert.Missing(done.Plan, w.parts)
		if err != nil || len(shards) == 0 {
			return err
		}
		if !time.Now().Before(until) {
			missing := &convert.MissingError{Plan: done.Plan, Shards: shards}
			return &missingError{missing, w.missing(missing)}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(min(time.Second, time.Until(until))):
		}
	}
}
