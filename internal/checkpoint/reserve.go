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

// tempSuffix ends the names of the folders that hold what is not published yet.
const tempSuffix = ".mha2mla-tmp"

// maxName is the length in bytes of the longest name that file systems take.
const maxName = 255

// Replace says what Reserve may do with files that are there already.
type Replace struct {
	Force  bool    // replace the output
	Resume bool    // continue with what an earlier run has left unfinished
	Keep   bool    // leave what is finished if this run does not end, as one that continues does
	FS     fsys.FS // the file system to write to; nil: that of the operating system
}

// BusyError says that another process is writing an output.
type BusyError struct {
	Path   string
	Folder string // its temporary folder, which the user may have to remove
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

// CutShortError says that a run died while it replaced an output.
type CutShortError struct{ Path, Folder string }

func (e *CutShortError) Error() string {
	return fmt.Sprintf("%q was being replaced when that run was cut short; what it held is set aside in %q", e.Path, e.Folder)
}

// Kind says that the request makes no sense here, so that the user has to change it.
func (e *CutShortError) Kind() fault.Kind { return fault.Usage }

// Remedy says what to do about the error.
func (e *CutShortError) Remedy() option.Text {
	return option.Textf("with %v it is put back, and replaced once the new one is whole; or name another output", option.Force)
}

// Reserve makes an output this process's own until Commit or Discard. If main is empty, the
// output is the directory folder; otherwise it is the file main in folder, and others with
// it. Whatever a run that died has left stays as it is until Declare. Reserve makes the
// checks of CheckOutput and returns their errors. It returns a BusyError if another process
// writes the output, and a CutShortError if one died while it replaced it.
func Reserve(in *Source, folder, main string, r Replace) (*Output, error) {
	o := &Output{fs: r.FS, in: in, folder: filepath.Clean(folder), path: filepath.Join(folder, main), main: main, whole: main == "", force: r.Force, resume: r.Resume, keep: r.Keep || r.Resume, id: rand.Text()[:12]}
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

// Names lists the main file of an output; it is empty for an output that is a directory.
func Names(main string) []string {
	if main == "" {
		return nil
	}
	return []string{main}
}

// place returns where the temporary folder belongs. It lies inside an output directory that
// is there already, since only there files are renamed within one file system, whatever
// link or mount the directory is. Otherwise it lies beside the output.
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

// beside returns the temporary folder of a directory that does not exist yet.
func (o *Output) beside() (folder, name string) {
	return filepath.Dir(o.folder), temporaryName(filepath.Base(o.folder))
}

// temporaryName returns the name of the temporary folder beside an output of a name. If that
// would be too long, it is cut and completed with a digest of the whole, so that different
// outputs have different folders.
func temporaryName(name string) string {
	if len(name)+len(".")+len(tempSuffix) > maxName {
		sum := sha256.Sum256([]byte(name))
		name = name[:maxName/2] + "-" + hex.EncodeToString(sum[:8])
	}
	return "." + name + tempSuffix
}

// enter takes the temporary folder. The folder's place changes if somebody else makes the
// output directory at the same time; then enter takes the other.
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

// take creates the temporary folder if need be, locks it, and makes a folder in it for this
// attempt alone. The permissions allow nobody else to put anything there, because whatever
// lies there is taken for this user's work.
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
		// Its owner has just removed the folder, so it is made again.
	}
}

// lockIn enters a temporary folder and takes its lock.
func (o *Output) lockIn(name string) (err error) {
	if o.work, err = o.base.Enter(name); err != nil {
		return err
	}
	o.lock, err = o.work.Lock(lockFile)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.Join(err, o.work.Close())
	}
	return err
}

// settle makes the folder of this attempt in the temporary folder.
func (o *Output) settle() (err error) {
	if err := o.work.Mkdir(o.id, true); err != nil {
		return err
	}
	o.mine, err = o.work.Enter(o.id)
	return err
}

// accept puts the temporary folder in order. It undoes an exchange that a run left half-done
// when it died, and removes the rest of what that run left, unless this run resumes it.
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

// clear removes everything in the temporary folder but the given names. It moves each file
// into the folder of this attempt first, where no other run looks. A run that has lost its
// lock and still goes on must not publish its files when some of them are removed.
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

// sweep removes the temporary folder that a run left beside a directory when it died, if
// the directory has appeared since.
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
