package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/fsys"
)

// What is in a temporary folder.
const (
	lockFile     = "lock"
	stagedFolder = "new"
	asideFolder  = "old"
	markerFile   = "commit"
	journalFile  = "journal"
	keptFolder   = "kept"
)

// Output is files that get their final names together. Until then they are in a
// folder of a temporary name beside them, which belongs to this process alone:
//
//	lock     says so
//	new/     the files
//	old/     what they replace, while they do
//	commit   is there while they do; what died with it is undone by the next run
//	journal  of a run that may be resumed
//	kept/    what else such a run has done
//	…/       whatever else the run puts there, under a name nobody has twice
//
// An output directory that does not exist yet is new/, renamed. Otherwise the
// files that are replaced are set aside, then the new ones get their names.
//
// The folder is reached by its handle and nothing in it is followed elsewhere. The lock
// saves work; that what is published is whole does not depend on it: no name is ever
// given to anything that another run may have put there, and no name that has a file
// is given to another.
type Output struct {
	fs     fsys.FS
	in     *Source
	folder string   // final folder of the files
	main   string   // name of the file that is the output; empty: folder is
	path   string   // of the output
	names  []string // of all files, in the order in which they appear
	whole  bool     // folder is the output, not only where it goes
	force  bool     // what exists may be replaced
	fresh  bool     // folder does not exist yet
	resume bool     // what an earlier run left is kept

	id       string      // of this attempt
	base     fsys.Folder // in which the temporary folder is: folder, unless it is fresh
	workName string
	work     fsys.Folder // the temporary folder
	mine     fsys.Folder // in it, of this attempt alone
	staged   fsys.Folder // from Declare to Commit
	lock     fsys.Lock
	open     openFiles
}

// NewOutput prepares to write files of the given names to folder: Reserve and
// Declare in one.
func NewOutput(in *Source, folder string, names []string, whole, force bool) (*Output, error) {
	main := ""
	if !whole {
		main = names[0]
	}
	o, err := Reserve(in, folder, main, Replace{Force: force})
	if err != nil {
		return nil, err
	}
	if err := o.Declare(names); err != nil {
		return nil, errors.Join(err, o.Discard())
	}
	return o, nil
}

// Declare says which files will be written, in the order in which they are to
// appear, after the checks of CheckOutput. From here on the run is accepted: what one that died has left is undone, and removed or resumed.
func (o *Output) Declare(names []string) error {
	if err := checkOutput(o.fs, o.in, o.folder, names, o.whole, o.force); err != nil {
		return err
	}
	if err := o.accept(); err != nil {
		return err
	}
	if err := checkOutput(o.fs, o.in, o.folder, names, o.whole, o.force); err != nil {
		return err
	}
	o.names = names
	if err := o.work.Mkdir(stagedFolder, false); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	var err error
	o.staged, err = o.work.Enter(stagedFolder)
	return err
}

// Retain removes all that an earlier run has left of the files but for the given
// ones.
func (o *Output) Retain(names []string) error {
	return fsys.RemoveIn(o.staged, func(name string) bool { return slices.Contains(names, name) })
}

// CheckSpace makes sure that so many bytes can be written, as far as the system
// says. What will be removed before counts as free.
func (o *Output) CheckSpace(bytes int64) error {
	free, err := o.work.Free()
	if err != nil {
		return nil // nobody knows
	}
	if o.staged == nil && !o.resume {
		free += size(o.work)
	}
	if free < bytes {
		return &SpaceError{Folder: o.base.Path(), Needed: bytes, Free: free}
	}
	return nil
}

// size adds up the files in a folder and below, as far as they can be seen.
func size(in fsys.Folder) int64 {
	names, _ := in.List()
	total := int64(0)
	for _, name := range names {
		info, err := in.Stat(name)
		switch {
		case err != nil:
		case info.Mode().IsRegular():
			total += info.Size()
		case info.IsDir():
			if below, err := in.Enter(name); err == nil {
				total += size(below)
				below.Close() //nolint:errcheck // nothing was written
			}
		}
	}
	return total
}

// SpaceError says that there is no room for what would be written.
type SpaceError struct {
	Folder       string
	Needed, Free int64 // bytes
}

func (e *SpaceError) Error() string {
	return fmt.Sprintf("no space in %q: %d bytes are needed and %d are free", e.Folder, e.Needed, e.Free)
}

// Kind says that a disk is full.
func (e *SpaceError) Kind() fault.Kind { return fault.NoSpace }

// Hint says what to do about the error.
func (e *SpaceError) Hint() string { return "free space, or name an output elsewhere" }

// Scratch is the path of something that goes when the output is done, in a folder of
// this attempt alone.
func (o *Output) Scratch(name string) string { return filepath.Join(o.mine.Path(), name) }

// Staged is where a file is until Commit, to be read before it is published; without a
// name, the folder.
func (o *Output) Staged(name string) string { return filepath.Join(o.staged.Path(), name) }

// Journal is where a run puts down what it has done, for another to resume.
func (o *Output) Journal() (in fsys.Folder, name string) { return o.work, journalFile }

// Forget removes the journal: there is nothing to be resumed.
func (o *Output) Forget() error { return fsys.RemoveAll(o.work, journalFile) }

// Keep writes a file for another run to resume, in the place of one of its name.
func (o *Output) Keep(name string, content []byte) error {
	if err := o.work.Mkdir(keptFolder, true); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	kept, err := o.work.Enter(keptFolder)
	if err != nil {
		return err
	}
	defer kept.Close()
	if err := fsys.RemoveAll(kept, name); err != nil {
		return err
	}
	return fsys.WriteFile(kept, name, content)
}

// Kept returns what Keep wrote in this run or an earlier one, which has at most so many
// bytes; the error is fs.ErrNotExist if there is nothing.
func (o *Output) Kept(name string, most int64) ([]byte, error) {
	kept, err := o.work.Enter(keptFolder)
	if err != nil {
		return nil, err
	}
	defer kept.Close()
	return fsys.ReadFile(kept, name, most)
}

// Create opens the file that will be published as name.
func (o *Output) Create(name string) (fsys.File, error) { return o.open.create(o.staged, name) }

// WriteFile writes a whole file that will be published as name.
func (o *Output) WriteFile(name string, content []byte) error {
	return fsys.WriteFile(o.staged, name, content)
}

// Size is that of the file that will be published as name.
func (o *Output) Size(name string) (int64, error) {
	info, err := o.staged.Stat(name)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Digest reads the safetensors file that an earlier run left to be published as name,
// as Digest does.
func (o *Output) Digest(ctx context.Context, name string) (*Digests, error) {
	f, err := o.staged.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return digestFile(ctx, filepath.Join(o.staged.Path(), name), f)
}

// PublishedError says that an output is complete, and what failed after that.
type PublishedError struct {
	Path string
	Err  error
}

func (e *PublishedError) Error() string {
	return fmt.Sprintf("%q is complete; what failed is to tidy up after it: %v", e.Path, e.Err)
}

// Unwrap is what failed.
func (e *PublishedError) Unwrap() error { return e.Err }

// Hint says what to do about the error.
func (e *PublishedError) Hint() string {
	return "see that the disk is sound: whether a power cut would undo it is not known"
}

// Commit gives every file its final name and puts the names on the disk. If that
// fails, whatever was there before is there again, unless the error is a
// PublishedError.
func (o *Output) Commit() error {
	if !o.lock.Held() {
		return &BusyError{o.path, o.work.Path(), &fsys.HeldError{}}
	}
	if err := o.staged.Sync(); err != nil {
		return err
	}
	publish := o.replace
	if o.fresh {
		publish = o.appear
	}
	if err := publish(); err != nil {
		return err
	}
	if err := o.close(false); err != nil {
		return &PublishedError{o.path, err}
	}
	return nil
}

// appear makes the new folder the output. It takes it out of everybody's sight first,
// to make sure that it is the one it has filled.
func (o *Output) appear() error {
	filled, err := o.staged.Stat(".")
	if err := errors.Join(err, o.staged.Close()); err != nil { // some systems rename no folder that is open
		return err
	}
	if err := o.work.Move(stagedFolder, o.mine, stagedFolder); err != nil {
		return err
	}
	moved, err := o.mine.Stat(stagedFolder)
	if err == nil && !os.SameFile(moved, filled) {
		err = &BusyError{o.path, o.work.Path(), &fsys.HeldError{}}
	}
	if err == nil {
		err = o.mine.Move(stagedFolder, o.base, filepath.Base(o.folder))
	}
	if err != nil {
		return errors.Join(err, o.mine.Move(stagedFolder, o.work, stagedFolder))
	}
	if err := o.base.Sync(); err != nil {
		return errors.Join(&PublishedError{o.path, err}, o.close(false))
	}
	return nil
}

// Discard removes whatever has not been published and gives the output up. What
// may be resumed stays if the output was reserved for that, and so does an old
// checkpoint that could not be put back, and all that another run left if this one was
// never accepted. After Commit it does nothing.
func (o *Output) Discard() error {
	if o.base == nil {
		return nil
	}
	stay := o.names == nil
	if !stay {
		marked, err := fsys.Exists(o.work, markerFile)
		resumable, journalErr := fsys.Exists(o.work, journalFile)
		// of what cannot be seen nothing is removed
		stay = marked || err != nil || o.resume && (resumable || journalErr != nil)
	}
	return o.close(stay)
}

// close gives the temporary folder up, with what is in it if that is to stay.
func (o *Output) close(stay bool) error {
	var errs []error
	if o.lock != nil && o.lock.Held() {
		if !stay && o.mine != nil {
			errs = append(errs, o.clear(lockFile, o.id))
		}
	}
	for _, f := range []fsys.Folder{o.mine, o.staged} {
		if f != nil {
			f.Close() //nolint:errcheck // it was read, or what was written is on the disk
		}
	}
	if o.mine != nil {
		errs = append(errs, fsys.RemoveAll(o.work, o.id))
	}
	if o.lock != nil {
		errs = append(errs, o.lock.Release())
	}
	errs = append(errs, o.leave())
	o.mine, o.staged, o.lock = nil, nil, nil
	return errors.Join(errs...)
}

// leave removes the temporary folder if it is empty, and closes what it is in.
func (o *Output) leave() error {
	if o.base == nil {
		return nil
	}
	if o.work != nil {
		o.work.Close() //nolint:errcheck // only names were changed
	}
	err := o.base.Remove(o.workName)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) { // gone, or what is in it stays
		err = nil
	}
	o.base.Close() //nolint:errcheck
	o.work, o.base = nil, nil
	return err
}
