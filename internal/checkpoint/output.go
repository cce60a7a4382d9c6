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

// These are the names of what lies in a temporary folder.
const (
	lockFile     = "lock"
	stagedFolder = "new"
	asideFolder  = "old"
	markerFile   = "commit"
	journalFile  = "journal"
	keptFolder   = "kept"
)

// Output is a group of files that get their final names together (design §12). Until then
// they lie in a temporary folder beside their final places, which belongs to this process
// alone:
//
//	lock     tells other processes that the folder is taken
//	new/     the new files
//	old/     the files that they replace, during the exchange
//	commit   is there during the exchange; if a run dies then, the next one undoes it
//	journal  says what a run that may be resumed has finished
//	kept/    other results of such a run
//	…/       whatever else this attempt puts there, under a random name
//
// If the output is a directory that does not exist yet, Commit renames new/ to it.
// Otherwise Commit sets the old files aside, and then gives the new ones their names.
//
// The folder is reached by its handle, and no link in it is followed. The lock only saves
// work: two runs that both believe to hold it still publish nothing but whole outputs. For
// no run publishes a file that another may have put there, and none gives a file a name
// that another file has.
type Output struct {
	fs     fsys.FS
	in     *Source
	folder string   // final folder of the files
	main   string   // name of the file that is the output; empty if folder is the output
	path   string   // path of the output
	names  []string // names of all files, in the order in which they appear
	whole  bool     // folder is the output, and not only the place of a file
	force  bool     // existing files may be replaced
	fresh  bool     // folder does not exist yet
	resume bool     // this run continues what an earlier run left
	keep   bool     // what is finished stays if this run does not end
	left   bool     // it has stayed

	id       string      // random name of this attempt
	base     fsys.Folder // holds the temporary folder; it is folder, or its parent if folder is fresh
	workName string      // name of the temporary folder
	work     fsys.Folder // the temporary folder
	mine     fsys.Folder // the folder in it that only this attempt uses
	staged   fsys.Folder // new/, from Declare to Commit
	lock     fsys.Lock
	open     openFiles
}

// NewOutput prepares to write files of the given names to folder. It does what Reserve and
// Declare do.
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

// Declare says which files the run will write, in the order in which they shall appear. It
// makes the checks of CheckOutput and returns their errors. From then on the run is
// accepted: Declare undoes the exchange that a run left half-done when it died, and removes
// the rest that it left, unless this run resumes it.
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

// Retain removes those of the files that an earlier run has left, but keeps the given ones.
func (o *Output) Retain(names []string) error {
	return fsys.RemoveIn(o.staged, func(name string) bool { return slices.Contains(names, name) })
}

// CheckSpace returns a SpaceError if the system says that it has no room for so many bytes.
// Files that the run will remove before it writes count as free room.
func (o *Output) CheckSpace(bytes int64) error {
	free, err := o.work.Free()
	if err != nil {
		return nil // the system does not tell, so the run has to try
	}
	if o.staged == nil && !o.resume {
		free += size(o.work)
	}
	return enoughSpace(o.base.Path(), bytes, free)
}

// enoughSpace is a SpaceError if less is free in a folder than needed.
func enoughSpace(folder string, needed, free int64) error {
	if free < needed {
		return &SpaceError{Folder: folder, Needed: needed, Free: free}
	}
	return nil
}

// size returns how many bytes the files in a folder and below it have, as far as this user
// can see them.
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

// SpaceError says that a disk has no room for an output.
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

// Scratch returns the path for a temporary file in the folder that only this attempt uses.
// The file is removed with the folder when the output is done.
func (o *Output) Scratch(name string) string { return filepath.Join(o.mine.Path(), name) }

// Staged returns the path of a file until Commit, so that it can be read before it is
// published. Without a name, it returns the path of the folder.
func (o *Output) Staged(name string) string { return filepath.Join(o.staged.Path(), name) }

// Journal returns the folder and the name of the file in which a run notes what it has
// done, so that another run can resume it.
func (o *Output) Journal() (in fsys.Folder, name string) { return o.work, journalFile }

// Forget removes the journal, so that no other run resumes this one.
func (o *Output) Forget() error { return fsys.RemoveAll(o.work, journalFile) }

// Keep writes a file that another run can use when it resumes this one. It replaces a file
// of the same name.
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

// Kept returns what Keep wrote in this run or in an earlier one. It returns an error if that
// has more than most bytes, and fs.ErrNotExist if there is nothing.
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

// Size returns the size in bytes of the file that will be published as name.
func (o *Output) Size(name string) (int64, error) {
	info, err := o.staged.Stat(name)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Digest returns the digests of the safetensors file that will be published as name, which
// an earlier run has left.
func (o *Output) Digest(ctx context.Context, name string) (*Digests, error) {
	f, err := o.staged.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return digestFile(ctx, filepath.Join(o.staged.Path(), name), f)
}

// PublishedError says that an output is complete, and that something failed afterwards.
type PublishedError struct {
	Path string
	Err  error
}

func (e *PublishedError) Error() string {
	return fmt.Sprintf("%q is complete; what failed is to tidy up after it: %v", e.Path, e.Err)
}

// Unwrap returns the error of what failed.
func (e *PublishedError) Unwrap() error { return e.Err }

// Hint says what to do about the error.
func (e *PublishedError) Hint() string {
	return "see that the disk is sound: whether a power cut would undo it is not known"
}

// Commit gives every file its final name and puts the names on the disk. If that fails, the
// files that were there before are there again. Only a PublishedError means that the new
// ones are.
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

// appear renames the new folder to the output. First it moves the folder to a place that
// only this attempt uses, and makes sure there that it is the folder that it has filled.
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

// Discard removes whatever has not been published and gives the output up. Some things
// stay: what another run can resume, if the output was reserved for that; an old checkpoint
// that could not be put back; and all that another run left, if this one was never
// accepted. After Commit it does nothing.
func (o *Output) Discard() error {
	if o.base == nil {
		return nil
	}
	stay := o.names == nil
	if !stay {
		marked, err := fsys.Exists(o.work, markerFile)
		resumable, journalErr := fsys.Exists(o.work, journalFile)
		// Where the folder cannot be read, nobody knows what it holds, so nothing is removed.
		o.left = o.keep && (resumable || journalErr != nil)
		stay = marked || err != nil || o.left
	}
	return o.close(stay)
}

// Left reports whether Discard has left something that another run can resume.
func (o *Output) Left() bool { return o.left }

// close gives the temporary folder up. Unless stay is true, it removes what is in it.
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

// leave removes the temporary folder if it is empty, and closes the folder around it.
func (o *Output) leave() error {
	if o.base == nil {
		return nil
	}
	if o.work != nil {
		o.work.Close() //nolint:errcheck // only names were changed
	}
	err := o.base.Remove(o.workName)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) { // it is gone, or what is in it stays
		err = nil
	}
	o.base.Close() //nolint:errcheck
	o.work, o.base = nil, nil
	return err
}
