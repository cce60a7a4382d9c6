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

// Output collects files under temporary names in the folder where they belong
// and gives them their final names together. A directory that does not exist
// yet is built under a temporary name and renamed as a whole.
type Output struct {
	folder string // final folder of the files
	fresh  string // temporary folder that becomes folder; empty if that exists
	files  []pending
}

// pending is a file that is not published yet.
type pending struct{ temp, final string }

// CheckOutput makes sure that files of the given names may be written to
// folder. It refuses a folder without a parent and every name that is, through
// any link, a file of in; and, unless force, whatever exists: the folder itself
// if whole says that it is the output, else the names. It touches nothing.
func CheckOutput(in *Source, folder string, names []string, whole, force bool) error {
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist) && whole:
		_, err := os.Stat(filepath.Dir(filepath.Clean(folder)))
		return err
	case err != nil:
		return err
	case os.SameFile(info, in.folder):
		if whole {
			return &SameFileError{folder}
		}
	case !info.IsDir(), whole && !force:
		return &ExistsError{folder}
	}
	for _, name := range names {
		path := filepath.Join(folder, name)
		if err := in.refuseOwn(path); err != nil {
			return err
		}
		if _, err := os.Lstat(path); err == nil && !force {
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
	o := &Output{folder: filepath.Clean(folder)}
	if _, err := os.Stat(folder); err == nil {
		return o, nil
	}
	o.fresh = tempName(o.folder)
	return o, os.Mkdir(o.fresh, 0o777)
}

// refuseOwn is an error if path is, through any link, a file that the source is
// read from.
func (s *Source) refuseOwn(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return nil // nothing there to overwrite
	}
	for _, own := range append(s.Files(), filepath.Join(s.Dir, ConfigFile), filepath.Join(s.Dir, IndexFile)) {
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
		p.temp = tempName(p.final)
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
// puts the names on the disk.
func (o *Output) Commit() error {
	if o.fresh != "" {
		if err := errors.Join(syncFolder(o.fresh), os.Rename(o.fresh, o.folder)); err != nil {
			return err
		}
		o.fresh, o.files = "", nil
		return syncFolder(filepath.Dir(o.folder))
	}
	for len(o.files) > 0 {
		if err := os.Rename(o.files[0].temp, o.files[0].final); err != nil {
			return err
		}
		o.files = o.files[1:]
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

// RemoveStale removes the weights of an older checkpoint from a folder in
// which those named in keep have just been published: a loader must not find
// both.
func RemoveStale(folder string, keep []string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		name := e.Name()
		weights := name == IndexFile || strings.HasPrefix(name, "model") && filepath.Ext(name) == ".safetensors"
		if weights && !slices.Contains(keep, name) {
			errs = append(errs, os.Remove(filepath.Join(folder, name)))
		}
	}
	return errors.Join(errs...)
}

// tempName is a name beside path that says what it is.
func tempName(path string) string {
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
