package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/mha2mla/mha2mla/internal/fsys"
)

// tempSuffix ends the name of everything that is not published yet.
const tempSuffix = ".mha2mla-tmp"

// lockFile is the name of the lock in a temporary folder.
const lockFile = "lock"

// Replace says what may be done about what is there already.
type Replace struct {
	Force  bool    // replace the output
	Resume bool    // keep what an earlier run has left unfinished
	FS     fsys.FS // to write to; nil: the operating system's
}

// BusyError says that another process is writing an output.
type BusyError struct {
	Path string
	Held *fsys.HeldError
}

func (e *BusyError) Error() string {
	who := "another process"
	if e.Held.PID != 0 {
		who = fmt.Sprintf("process %d", e.Held.PID)
	}
	return fmt.Sprintf("%q is being written by %s", e.Path, who)
}

// Hint says what to do about the error.
func (e *BusyError) Hint() string { return "wait for it, or name another output" }

// Reserve makes the output in folder, a directory or if main is not empty that
// file and others with it, this process's own until Commit or Discard. It undoes
// what a run that died has left half-done and removes the rest of it, unless it is
// to be resumed. The checks are those of CheckOutput.
func Reserve(in *Source, folder, main string, r Replace) (*Output, error) {
	o := &Output{fs: r.FS, in: in, folder: filepath.Clean(folder), path: filepath.Join(folder, main), whole: main == "", force: r.Force, resume: r.Resume}
	if o.fs == nil {
		o.fs = fsys.OS{}
	}
	names := Names(main)
	// what a dead run left may come first; CheckOutput is asked again after it
	if err := CheckOutput(in, folder, names, o.whole, r.Force || exists(o.place(main))); err != nil {
		return nil, err
	}
	if err := o.enter(main); err != nil {
		return nil, err
	}
	if err := CheckOutput(in, folder, names, o.whole, r.Force); err != nil {
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

// place is the path of the temporary folder: inside an output directory that is
// there already, whatever kind of link or mount it is, else beside the output.
func (o *Output) place(main string) string {
	switch {
	case !o.whole:
		return filepath.Join(o.folder, "."+main+tempSuffix)
	case exists(o.folder):
		return filepath.Join(o.folder, tempSuffix)
	default:
		return o.beside()
	}
}

// beside is the path of the temporary folder of a directory that does not exist
// yet.
func (o *Output) beside() string {
	return filepath.Join(filepath.Dir(o.folder), "."+filepath.Base(o.folder)+tempSuffix)
}

// enter takes the temporary folder and puts it in order. While somebody else makes
// the output directory, its place changes.
func (o *Output) enter(main string) error {
	for {
		o.work = o.place(main)
		if err := o.take(); err != nil {
			return err
		}
		if o.place(main) == o.work {
			break
		}
		if err := o.close(true); err != nil {
			return err
		}
	}
	o.fresh = o.whole && !exists(o.folder)
	err := o.recover()
	if err == nil {
		var keep []string
		if o.resume && exists(o.Journal()) {
			keep = []string{filepath.Base(o.Journal()), filepath.Base(o.kept()), filepath.Base(o.staged())}
		}
		err = clear(o.fs, o.work, keep...)
	}
	if err == nil && o.whole && !o.fresh && exists(o.beside()) {
		err = o.sweep(o.beside())
	}
	if err != nil {
		return errors.Join(err, o.Discard())
	}
	return nil
}

// sweep removes the temporary folder that a dead run left at another place.
func (o *Output) sweep(path string) error {
	left := &Output{fs: o.fs, path: o.path, work: path}
	if err := left.take(); err != nil {
		return err
	}
	return left.close(false)
}

// take locks the temporary folder, which it creates if need be.
func (o *Output) take() error {
	for {
		if err := o.fs.Mkdir(o.work); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if info, err := os.Lstat(o.work); err == nil && !info.IsDir() {
			return &NotAFileError{o.work, "no folder, and in the way of one"}
		}
		var err error
		o.lock, err = o.fs.Lock(filepath.Join(o.work, lockFile))
		var held *fsys.HeldError
		switch {
		case errors.As(err, &held):
			return &BusyError{o.path, held}
		case errors.Is(err, fs.ErrNotExist): // its owner has just removed it
			if _, err := os.Stat(filepath.Dir(o.work)); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// clear removes what is in a temporary folder but for the lock and the given names.
func clear(files fsys.FS, work string, keep ...string) error {
	entries, err := os.ReadDir(work)
	errs := []error{err}
	for _, e := range entries {
		if e.Name() != lockFile && !slices.Contains(keep, e.Name()) {
			errs = append(errs, fsys.RemoveAll(files, filepath.Join(work, e.Name())))
		}
	}
	return errors.Join(errs...)
}
