package checkpoint

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// tempSuffix ends the name of everything that is not published yet.
const tempSuffix = ".mha2mla-tmp"

// ExistsError says that an output is already there.
type ExistsError struct{ Path string }

func (e *ExistsError) Error() string { return fmt.Sprintf("%q exists already", e.Path) }

// Hint says what to do about the error.
func (e *ExistsError) Hint() string { return "replace it with --force, or name another output" }

// SameFileError says that an output would overwrite an input.
type SameFileError struct{ Path string }

func (e *SameFileError) Error() string {
	return fmt.Sprintf("%q belongs to the input; a conversion never writes over its input", e.Path)
}

// Hint says what to do about the error.
func (e *SameFileError) Hint() string { return "name another output" }

// NotAFileError says that an output is there and cannot be replaced.
type NotAFileError struct{ Path, What string }

func (e *NotAFileError) Error() string { return fmt.Sprintf("%q is %s", e.Path, e.What) }

// Hint says what to do about the error.
func (e *NotAFileError) Hint() string { return "name another output" }

// Output collects files under temporary names in the folder where they belong
// and gives them their final names together. A directory that does not exist
// yet is built under a temporary name and renamed as a whole.
type Output struct {
	folder string   // final folder of the files
	names  []string // of all of them
	whole  bool     // folder is the output, not only where it goes
	fresh  string   // temporary folder that becomes folder; empty if that exists
	files  []pending
}

// pending is a file that is not published yet.
type pending struct{ temp, final string }

// CheckOutput makes sure that files of the given names may be written to
// folder. It refuses a folder without a parent, every name that is, through any
// link, a file of in, and every name that is no regular file; and, unless force,
// whatever exists: the folder itself if whole says that it is the output, else
// the names. It touches nothing.
func CheckOutput(in *Source, folder string, names []string, whole, force bool) error {
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist) && whole:
		if _, err := os.Lstat(folder); err == nil {
			return &NotAFileError{folder, "a symbolic link to nothing"}
		}
		_, err := os.Stat(filepath.Dir(filepath.Clean(folder)))
		return err
	case err != nil:
		return err
	case whole && os.SameFile(info, in.folder):
		return &SameFileError{folder}
	case whole && !force:
		return &ExistsError{folder}
	}
	if whole {
		stale, err := weightsIn(folder)
		if err != nil {
			return err
		}
		names = append(stale, names...) // they will be removed
	}
	for _, name := range names {
		path := filepath.Join(folder, name)
		if err := in.refuseOwn(path); err != nil {
			return err
		}
		info, err := os.Stat(path)
		switch {
		case err == nil && !info.Mode().IsRegular():
			return &NotAFileError{path, "no regular file"}
		case err == nil && !force:
			return &ExistsError{path}
		}
	}
	return nil
}

// NewOutput prepares to write files of the given names to folder, after the
// checks of CheckOutput. It creates nothing but the temporary folder of a
// fresh one.
func NewOutput(in *Source, folder string, names []string, whole, force bool) (*Output, error) {
	if err := CheckOutput(in, folder, names, whole, force); err != nil {
		return nil, err
	}
	o := &Output{folder: filepath.Clean(folder), names: names, whole: whole}
	if _, err := os.Stat(folder); err == nil {
		return o, nil
	}
	o.fresh = TempName(o.folder)
	return o, os.Mkdir(o.fresh, 0o777)
}

// refuseOwn is an error if path is, through any link, a file that the source is
// read from.
func (s *Source) refuseOwn(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return nil // nothing there to overwrite
	}
	for _, own := range append(s.Files(), s.config, filepath.Join(s.Dir, ConfigFile), filepath.Join(s.Dir, IndexFile)) {
		if ownInfo, err := os.Stat(own); err == nil && os.SameFile(info, ownInfo) {
			return &SameFileError{path}
		}
	}
	return nil
}

// Create opens the file that will be published as name.
func (o *Output) Create(name string) (*os.File, error) {
	p := pending{final: filepath.Join(o.folder, name)}
	if o.fresh != "" {
		p.temp = filepath.Join(o.fresh, name)
	} else {
		p.temp = TempName(p.final)
	}
	f, err := os.OpenFile(p.temp, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o666)
	if err == nil {
		o.files = append(o.files, p)
	}
	return f, err
}

// WriteFile writes a whole file that will be published as name.
func (o *Output) WriteFile(name string, content []byte) error {
	f, err := o.Create(name)
	if err != nil {
		return err
	}
	if _, err = f.Write(content); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Commit gives every file its final name, in the order of their creation, and
// puts the names on the disk. Where it replaces the checkpoint of a folder, it
// first takes away what loaders begin with: killed in between, it leaves a
// folder that they refuse, never one with parts of both.
func (o *Output) Commit() error {
	if o.fresh != "" {
		if err := syncFolder(o.fresh); err != nil {
			return err
		}
		if err := os.Rename(o.fresh, o.folder); err != nil {
			return err
		}
		o.fresh, o.files = "", nil
		return syncFolder(filepath.Dir(o.folder))
	}
	if o.whole {
		for _, name := range []string{ConfigFile, IndexFile} {
			if err := os.Remove(filepath.Join(o.folder, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if err := syncFolder(o.folder); err != nil {
			return err
		}
	}
	for len(o.files) > 0 {
		if err := os.Rename(o.files[0].temp, o.files[0].final); err != nil {
			return err
		}
		o.files = o.files[1:]
	}
	if o.whole {
		if err := o.removeStale(); err != nil {
			return err
		}
	}
	return syncFolder(o.folder)
}

// Discard removes whatever has not been published. After Commit it does
// nothing.
func (o *Output) Discard() error {
	var errs []error
	for _, p := range o.files {
		errs = append(errs, os.Remove(p.temp))
	}
	if o.fresh != "" {
		errs = append(errs, os.RemoveAll(o.fresh))
	}
	o.fresh, o.files = "", nil
	return errors.Join(errs...)
}

// removeStale removes the weights of an older checkpoint: a loader must not find
// both.
func (o *Output) removeStale() error {
	names, err := weightsIn(o.folder)
	errs := []error{err}
	for _, name := range names {
		if !slices.Contains(o.names, name) {
			errs = append(errs, os.Remove(filepath.Join(o.folder, name)))
		}
	}
	return errors.Join(errs...)
}

// weightsIn lists what a loader takes for the weights of a folder, under the
// names that this program gives them.
func weightsIn(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	var names []string
	for _, e := range entries {
		shard := strings.HasPrefix(e.Name(), "model-") && len(e.Name()) == len("model-00001-of-00001.safetensors") && shardName.MatchString(e.Name())
		if shard || e.Name() == SingleFile || e.Name() == IndexFile {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// TempName is a name beside path for what is not there to stay, by which it is
// recognised.
func TempName(path string) string {
	random := make([]byte, 4)
	rand.Read(random) // never fails
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+hex.EncodeToString(random)+tempSuffix)
}

// syncFolder puts the names in a folder on the disk. Windows has no such call.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
