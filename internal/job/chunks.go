package job

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/journal"
)

// chunk is a chunk of a text of which parts gather statistics.
type chunk struct {
	source
	number int
}

// name is the name of the file that has the statistics of the chunk.
func (c chunk) name() string { return fmt.Sprintf("%s-%d", c.file, c.number) }

// record is the name of the record that says that this file is complete.
func (c chunk) record() string { return c.name() + ".done" }

// chunks lists the chunks of texts.
func (t *texts) chunks() (all []chunk) {
	for _, s := range t.sources() {
		for k := range s.text.Chunks() {
			all = append(all, chunk{s, k})
		}
	}
	return all
}

// dealt reports whether unit i belongs to a share.
func dealt(s convert.Share, i int) bool { return i%s.Of == s.Number }

// Calibrate gathers statistics of those chunks of text of a share that nobody has gathered yet, and
// returns how many it has gathered.
func (p Part) Calibrate(ctx context.Context, v View, share convert.Share) (made int, err error) {
	w, err := p.open(v, StageCalibrate)
	if err != nil {
		return 0, again(err)
	}
	defer w.close(&err)
	t, err := w.said(ctx)
	if err != nil {
		return 0, err
	}
	todo, err := w.ungathered(t)
	if err != nil {
		return 0, err
	}
	for i, c := range t.chunks() {
		if !dealt(share, i) || !todo[i] {
			continue
		}
		if err := w.gather(ctx, c); err != nil {
			return made, again(err)
		}
		made++
	}
	return made, nil
}

// gather gathers the statistics of a chunk, and publishes them and then their record.
func (w *work) gather(ctx context.Context, c chunk) error {
	if err := w.gatherer().room(calib.Memory(w.model, c.text)); err != nil {
		return err
	}
	f, err := w.parts.Create(w.parts.Draft(c.name()))
	if err != nil {
		return err
	}
	progress, finish := w.Progress("calibrating")
	defer finish()
	if err := calib.WriteChunk(ctx, w.model, c.text, c.number, f, func() string { return w.temp("streams") }, progress); err != nil {
		return err
	}
	if err := w.model.Source.Unchanged(); err != nil {
		return err
	}
	digest, err := checkpoint.DigestFile(ctx, w.temp(c.name()))
	if err != nil {
		return err
	}
	if err := w.parts.Publish(c.name()); err != nil {
		return err
	}
	return journal.Publish(w.parts, c.record(), digest.SHA)
}

// ungathered says which chunks nobody has gathered statistics of yet.
func (w *work) ungathered(t *texts) (todo []bool, err error) {
	found, err := fsys.Exists(w.parts, foundFile) // then they are added up
	if err != nil {
		return nil, err
	}
	for _, c := range t.chunks() {
		there, err := fsys.Exists(w.parts, c.record())
		if err == nil && !there {
			there, err = fsys.Exists(w.parts, c.file)
		}
		if err != nil {
			return nil, err
		}
		todo = append(todo, !there && !found)
	}
	return todo, nil
}

// UngatheredError says that statistics of some text are missing.
type UngatheredError struct{ Chunks, Of int }

func (e *UngatheredError) Error() string {
	return fmt.Sprintf("statistics of %d of %d chunks of text are missing", e.Chunks, e.Of)
}

// Kind says that it may succeed later.
func (e *UngatheredError) Kind() fault.Kind { return fault.Again }

// Hint says what to do about the error.
func (e *UngatheredError) Hint() string {
	return "run the parts that calibrate and have not ended well again"
}

// addUp adds up the statistics of the chunks of every text. Those of a chunk that are not as they
// were written lose their record, so that a part gathers them again. It is an UngatheredError then.
func (w *work) addUp(ctx context.Context, t *texts) error {
	missing := 0
	for _, s := range t.sources() {
		there, err := fsys.Exists(w.parts, s.file)
		if err != nil {
			return err
		}
		if there {
			continue
		}
		damaged, err := w.damaged(ctx, s)
		if err == nil && damaged == 0 {
			err = w.join(ctx, s)
		}
		if err != nil {
			return err
		}
		missing += damaged
	}
	if missing > 0 {
		return &UngatheredError{missing, len(t.chunks())}
	}
	return nil
}

// damaged counts the chunks of a text whose statistics are not there, or not as they were written.
// Those lose their record.
func (w *work) damaged(ctx context.Context, s source) (n int, err error) {
	for k := range s.text.Chunks() {
		c := chunk{s, k}
		digest, err := journal.ReadOne[string](w.parts, c.record())
		if err != nil {
			return n, err
		}
		if digest != nil {
			got, err := checkpoint.DigestFile(ctx, w.path(c.name()))
			switch {
			case err == nil && got.SHA == *digest:
				continue
			case err != nil && !errors.Is(err, fs.ErrNotExist):
				return n, err
			}
		}
		n++
		if err := fsys.RemoveAll(w.parts, c.record()); err != nil {
			return n, err
		}
	}
	return n, nil
}

// join adds up the chunks of a text.
func (w *work) join(ctx context.Context, s source) (err error) {
	var files []*calib.File
	defer func() { closeStats(files) }()
	for k := range s.text.Chunks() {
		file, err := calib.Open(w.path(chunk{s, k}.name()))
		if err != nil {
			return err
		}
		files = append(files, file)
	}
	f, err := w.parts.Create(w.parts.Draft(s.file))
	if err != nil {
		return err
	}
	if err := calib.JoinChunks(ctx, w.model, s.text, files, f); err != nil {
		return err
	}
	return w.parts.Publish(s.file)
}

// removeChunks removes the statistics of chunks, which are added up.
func (w *work) removeChunks(t *texts) (err error) {
	for _, c := range t.chunks() {
		err = errors.Join(err, fsys.RemoveAll(w.parts, c.record()), fsys.RemoveAll(w.parts, c.name()))
	}
	return err
}
