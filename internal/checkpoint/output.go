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

// Output is files that get their final names together. Until then they are in a
// folder of a temporary name beside them, which belongs to this process alone:
//
//	lock     says so
//	new/     the files
//	old/     what they replace, while they do
//	commit   is there while they do; what died with it is undone by the next run
//	journal  of a run that may be resumed
//	kept/    what else such a run has done; and whatever else the run puts there
//
// An output directory that does not exist yet is new/, renamed. Otherwise the
// files that are replaced are set aside, then the new ones get their names.
type Output struct {
	fs     fsys.FS
	in     *Source
	folder string   // final folder of the files
	path   string   // of the output: folder, or a file in it
	names  []string // of all of them, in the order in which they appear
	whole  bool     // folder is the output, not only where it goes
	force  bool     // what exists may be replaced
	fresh  bool     // folder does not exist yet
	resume bool     // what an earlier run left is kept
	work   string   // the temporary folder
	lock   fsys.Lock
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
// appear, after the checks of CheckOutput.
func (o *Output) Declare(names []string) error {
	if err := CheckOutput(o.in, o.folder, names, o.whole, o.force); err != nil {
		return err
	}
	o.names = names
	if err := o.fs.Mkdir(o.staged()); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Retain removes all that an earlier run has left of the files but for the given
// ones.
func (o *Output) Retain(names []string) error {
	entries, err := os.ReadDir(o.staged())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !slices.Contains(names, e.Name()) {
			if err := fsys.RemoveAll(o.fs, o.Staged(e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// CheckSpace makes sure that so many bytes can be written, as far as the system
// says.
func (o *Output) CheckSpace(bytes int64) error {
	if free, err := o.fs.Free(o.work); err == nil && free < bytes {
		return &SpaceError{Folder: filepath.Dir(o.work), Needed: bytes, Free: free}
	}
	return nil
}

// SpaceError says that there is no room for what would be written.
type SpaceError struct {
	Folder       string
	Needed, Free int64 // bytes
}

func (e *SpaceError) Error() string {
	return fmt.Sprintf("no space in %q: %d bytes are needed and %d are free", e.Folder, e.Needed, e.Free)
}

// Hint says what to do about the error.
func (e *SpaceError) Hint() string { return "free space, or name an output elsewhere" }

// FS is the file system that is written to.
func (o *Output) FS() fsys.FS { return o.fs }

// Scratch is the path of something that goes when the output is done. The names
// above are taken.
func (o *Output) Scratch(name string) string { return filepath.Join(o.work, name) }

// Staged is where the file that will be published as name is until then.
func (o *Output) Staged(name string) string { return filepath.Join(o.staged(), name) }

// Journal is where a run puts down what it has done, for another to resume.
func (o *Output) Journal() string { return o.Scratch("journal") }

// Kept is where Keep puts the file of the given name.
func (o *Output) Kept(name string) string { return filepath.Join(o.kept(), name) }

// Keep writes a file for another run to resume, in the place of one of its name.
func (o *Output) Keep(name string, content []byte) error {
	if err := o.fs.Mkdir(o.kept()); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := fsys.RemoveAll(o.fs, o.Kept(name)); err != nil {
		return err
	}
	return fsys.WriteFile(o.fs, o.Kept(name), content)
}

func (o *Output) kept() string   { return o.Scratch("kept") }
func (o *Output) staged() string { return o.Scratch("new") }
func (o *Output) aside() string  { return o.Scratch("old") }
func (o *Output) marker() string { return o.Scratch("commit") }

// Create opens the file that will be published as name.
func (o *Output) Create(name string) (fsys.File, error) { return o.fs.Create(o.Staged(name)) }

// WriteFile writes a whole file that will be published as name.
func (o *Output) WriteFile(name string, content []byte) error {
	return fsys.WriteFile(o.fs, o.Staged(name), content)
}

// Commit gives every file its final name and puts the names on the disk. If that
// fails, whatever was there before is there again.
func (o *Output) Commit() error {
	if err := o.fs.SyncFolder(o.staged()); err != nil {
		return err
	}
	publish := o.replace
	if o.fresh {
		publish = o.appear
	}
	if err := publish(); err != nil {
		return err
	}
	return o.close(false)
}

// appear makes the new folder the output.
func (o *Output) appear() error {
	if err := o.fs.Rename(o.staged(), o.folder); err != nil {
		return err
	}
	return o.fs.SyncFolder(filepath.Dir(o.folder))
}

// Discard removes whatever has not been published and gives the output up. What
// may be resumed stays if the output was reserved for that, and so does an old
// checkpoint that could not be put back. After Commit it does nothing.
func (o *Output) Discard() error {
	if o.lock == nil {
		return nil
	}
	return o.close(exists(o.marker()) || o.resume && exists(o.Journal()))
}

// close gives the temporary folder up, with what is in it if that is to stay.
func (o *Output) close(stay bool) error {
	var errs []error
	if !stay {
		errs = append(errs, clear(o.fs, o.work))
	}
	errs = append(errs, o.lock.Release())
	o.lock = nil
	if err := o.fs.Remove(o.work); err != nil && !stay && !exists(filepath.Join(o.work, lockFile)) { // another's by now
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// exists reports whether there is something at path.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
