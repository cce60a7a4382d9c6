package checkpoint

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/option"
)

// tempSuffix ends the name of everything that is not published yet.
const tempSuffix = ".mha2mla-tmp"

// maxName is the size of the longest name that file systems take.
const maxName = 255

// Replace says what may be done about what is there already.
type Replace struct {
	Force  bool    // replace the output
	Resume bool    // keep what an earlier run has left unfinished
	FS     fsys.FS // to write to; nil: the operating system's
}

// BusyError says that another process is writing an output.
type BusyError struct {
	Path   string
	Folder string // where it does, if nobody can tell whether it still does
	Held   *fsys.HeldError
}

func (e *BusyError) Error() string {
	who := "another process"
	if e.Held.PID != 0 {
		who = fmt.Sprintf("process %d", e.Held.PID)
	}
	if e.Held.Unknown != "" {
		return fmt.Sprintf("%q is being written, or was, by %s on %s", e.Path, who, e.Held.Unknown)
	}
	return fmt.Sprintf("%q is being written by %s", e.Path, who)
}

// Hint says what to do about the error.
func (e *BusyError) Hint() string {
	if e.Held.Unknown != "" {
		return fmt.Sprintf("if that process is gone, remove %q; or name another output", e.Folder)
	}
	return "wait for it, or name another output"
}

// CutShortError says that a run that died was replacing an output.
type CutShortError struct{ Path, Folder string }

func (e *CutShortError) Error() string {
	return fmt.Sprintf("%q was being replaced when that run was cut short; what it held is set aside in %q", e.Path, e.Folder)
}

// Kind says that what was asked for cannot be meant.
func (e *CutShortError) Kind() fault.Kind { return fault.Usage }

// Remedy says what to do about the error.
func (e *CutShortError) Remedy() option.Text {
	return option.Textf("with %v it is put back, and replaced once the new one is whole; or name another output", option.Force)
}

// Reserve makes the output in folder, a directory or if main is not empty that
// file and others with it, this process's own until Commit or Discard. What a run
// that died has left stays as it is until Declare. The checks are those of
// CheckOutput.
func Reserve(in *Source, folder, main string, r Replace) (*Output, error) {
	o := &Output{fs: r.FS, in: in, folder: filepath.Clean(folder), path: filepath.Join(folder, main), main: main, whole: main == "", force: r.Force, resume: r.Resume, id: rand.Text()[:12]}
	if o.fs == nil {
		o.fs = fsys.OS{}
	}
	if err := checkOutput(o.fs, in, o.folder, Names(main), o.whole, o.force); err != nil {
		return nil, err
	}
	if err := o.enter(); err != nil {
		return nil, errors.Join(err, o.Discard())
	}
	return o, nil
}

// Names lists the main file of an output, if it is not a directory.
func Names(main string) []string {
	if main == "" {
		return nil
	}
	return []string{main}
}

// place is the temporary folder: inside an output directory that is there already,
// whatever kind of link or mount it is, else beside the output.
func (o *Output) place() (folder, name string, err error) {
	if !o.whole {
		return o.folder, temporaryName(o.main), nil
	}
	there, err := fsys.ExistsAt(o.fs, o.folder)
	if there {
		return o.folder, tempSuffix, err
	}
	folder, name = o.beside()
	return folder, name, err
}

// beside is the temporary folder of a directory that does not exist yet.
func (o *Output) beside() (folder, name string) {
	return filepath.Dir(o.folder), temporaryName(filepath.Base(o.folder))
}

// temporaryName is the name of the temporary folder beside an output. A name of which
// no more is possible is cut, and told from others by its digest.
func temporaryName(name string) string {
	if len(name)+len(".")+len(tempSuffix) > maxName {
		sum := sha256.Sum256([]byte(name))
		name = name[:maxName/2] + "-" + hex.EncodeToString(sum[:8])
	}
	return "." + name + tempSuffix
}

// enter takes the temporary folder. While somebody else makes the output directory,
// its place changes.
func (o *Output) enter() error {
	for {
		folder, name, err := o.place()
		if err != nil {
			return err
		}
		if err := o.take(folder, name); err != nil {
			return err
		}
		nowFolder, nowName, err := o.place()
		if err != nil {
			return err
		}
		if nowFolder == folder && nowName == name {
			break
		}
		if err := o.close(true); err != nil {
			return err
		}
	}
	o.fresh = o.whole && o.base.Path() != o.folder
	marked, err := fsys.Exists(o.work, markerFile)
	if err != nil {
		return err
	}
	if marked && !o.force {
		return &CutShortError{o.path, filepath.Join(o.work.Path(), asideFolder)}
	}
	return nil
}

// take locks the temporary folder, which it creates if need be, and makes a folder of
// this attempt's own in it. Nobody else may put anything there: what there is is taken
// for this user's work.
func (o *Output) take(folder, name string) (err error) {
	if o.base, err = o.fs.Open(folder); err != nil {
		return err
	}
	o.workName = name
	for {
		if err := o.base.Mkdir(name, true); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		err := o.lockIn(name)
		var held *fsys.HeldError
		switch {
		case err == nil:
			return o.settle()
		case errors.As(err, &held):
			return &BusyError{o.path, filepath.Join(folder, name), held}
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		// its owner has just removed it
	}
}

// lockIn enters a temporary folder and takes its lock.
func (o *Output) lockIn(name string) (err error) {
	if o.work, err = o.base.Enter(name); err != nil {
		return err
	}
	if o.lock, err = o.work.Lock(lockFile); errors.Is(err, fs.ErrNotExist) {
		err = errors.Join(err, o.work.Close())
	}
	return err
}

// settle makes the folder of this attempt.
func (o *Output) settle() (err error) {
	if err := o.work.Mkdir(o.id, true); err != nil {
		return err
	}
	o.mine, err = o.work.Enter(o.id)
	return err
}

// accept puts the temporary folder in order: it undoes what a run that died has left
// half-done and removes the rest of it, unless it is to be resumed.
func (o *Output) accept() error {
	if err := o.recover(); err != nil {
		return err
	}
	keep := []string{lockFile, o.id}
	if o.resume {
		resumable, err := fsys.Exists(o.work, journalFile)
		if err != nil {
			return err
		}
		if resumable {
			keep = append(keep, journalFile, keptFolder, stagedFolder)
		}
	}
	if err := o.clear(keep...); err != nil || !o.whole || o.fresh {
		return err
	}
	return o.sweep()
}

// clear removes what is in the temporary folder but for the given names. Each goes
// out of everybody's sight first: a run that has lost its lock must not publish what
// is left of its files.
func (o *Output) clear(keep ...string) error {
	names, err := o.work.List()
	errs := []error{err}
	for _, name := range names {
		if slices.Contains(keep, name) {
			continue
		}
		if err := o.work.Move(name, o.mine, name); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, fsys.RemoveAll(o.mine, name))
	}
	return errors.Join(errs...)
}

// sweep removes the temporary folder that a dead run left beside a directory that has
// appeared since.
func (o *Output) sweep() error {
	folder, name := o.beside()
	there, err := fsys.ExistsAt(o.fs, filepath.Join(folder, name))
	if err != nil || !there {
		return err
	}
	left := &Output{fs: o.fs, path: o.path, id: o.id}
	err = left.take(folder, name)
	return errors.Join(err, left.close(err != nil))
}
