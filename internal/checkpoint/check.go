package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/option"
)

// ExistsError says that an output is there already.
type ExistsError struct{ Path string }

func (e *ExistsError) Error() string { return fmt.Sprintf("%q exists already", e.Path) }

// Kind says that the request makes no sense here, so that the user has to change it.
func (e *ExistsError) Kind() fault.Kind { return fault.Usage }

// Remedy says what to do about the error.
func (e *ExistsError) Remedy() option.Text {
	return option.Textf("replace it with %v, or name another output", option.Force)
}

// SameFileError says that an output would overwrite an input.
type SameFileError struct{ Path string }

func (e *SameFileError) Error() string {
	return fmt.Sprintf("%q belongs to the input; a conversion never writes over its input", e.Path)
}

// Kind says that the request makes no sense here, so that the user has to change it.
func (e *SameFileError) Kind() fault.Kind { return fault.Usage }

// Hint says what to do about the error.
func (e *SameFileError) Hint() string { return "name another output" }

// NotAFileError says that something is in the place of an output that is no file or folder
// and cannot be replaced.
type NotAFileError struct{ Path, What string }

func (e *NotAFileError) Error() string { return fmt.Sprintf("%q is %s", e.Path, e.What) }

// Kind says that the request makes no sense here, so that the user has to change it.
func (e *NotAFileError) Kind() fault.Kind { return fault.Usage }

// Hint says what to do about the error.
func (e *NotAFileError) Hint() string { return "name another output" }

// OwnedError says that a file belongs to an output other than the one that would
// replace it.
type OwnedError struct{ Path, Owner string }

func (e *OwnedError) Error() string {
	return fmt.Sprintf("%q belongs to %q, which would be left with parts of another", e.Path, e.Owner)
}

// Kind says that the request makes no sense here, so that the user has to change it.
func (e *OwnedError) Kind() fault.Kind { return fault.Usage }

// Hint says what to do about the error.
func (e *OwnedError) Hint() string { return "name another output" }

// CheckOutput returns an error if files of the given names must not be written to folder.
// If whole is true, the folder is the output. Otherwise the first name is the output, and
// the other files come with it; parts of an old output in its place count as well. CheckOutput
// refuses
//
//   - a folder without a parent;
//   - a name that leads, through any link, to a file of in: a SameFileError;
//   - a name that is no regular file: a NotAFileError;
//   - a name that belongs to another output: an OwnedError;
//   - unless force is true, an output that exists: an ExistsError.
//
// It changes nothing on the disk.
func CheckOutput(in *Source, folder string, names []string, whole, force bool) error {
	return checkOutput(fsys.OS{}, in, folder, names, whole, force)
}

func checkOutput(files fsys.FS, in *Source, folder string, names []string, whole, force bool) error {
	info, err := files.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist) && whole:
		there, err := fsys.ExistsAt(files, folder)
		if there || err != nil {
			return cmp.Or(err, error(&NotAFileError{folder, "a symbolic link to nothing"}))
		}
		_, err = files.Stat(filepath.Dir(filepath.Clean(folder)))
		return err
	case err != nil:
		return err
	case !info.IsDir():
		return &NotAFileError{folder, "no folder"}
	case whole && os.SameFile(info, in.folder):
		return &SameFileError{folder}
	case whole && !force:
		return &ExistsError{folder}
	}
	if whole {
		stale, err := weightsIn(files, folder)
		if err != nil {
			return err
		}
		names = append(stale, names...) // Commit removes the stale ones, so they are checked as well
	} else {
		if err := belongsElsewhere(folder, names); err != nil {
			return err
		}
		stale, err := oldParts(folder, names)
		if err != nil {
			return err
		}
		names = slices.Concat(names, stale)
	}
	for _, name := range names {
		if err := checkFile(files, in, filepath.Join(folder, name), force); err != nil {
			return err
		}
	}
	return nil
}

// checkFile is CheckOutput for one file.
func checkFile(files fsys.FS, in *Source, path string, force bool) error {
	info, err := files.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		there, err := fsys.ExistsAt(files, path)
		if there && !force { // it is a link to nothing
			return &ExistsError{path}
		}
		return err
	}
	if err != nil {
		return err
	}
	if err := in.refuseOwn(files, path, info); err != nil {
		return err
	}
	switch {
	case !info.Mode().IsRegular():
		return &NotAFileError{path, "no regular file"}
	case !force:
		return &ExistsError{path}
	}
	return nil
}

// PlainName reports whether a name that was read from a stranger's file is the plain name
// of a file, which leads to no other folder on any system.
func PlainName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= 255 &&
		!strings.ContainsAny(name, `/\:`) && !strings.ContainsFunc(name, unicode.IsControl)
}

// refuseOwn returns an error if the file at path, which info describes, is a file that the
// source is read from, through whatever links.
func (s *Source) refuseOwn(files fsys.FS, path string, info fs.FileInfo) error {
	for _, own := range append(s.Files(), s.config, filepath.Join(s.Dir, ConfigFile), filepath.Join(s.Dir, IndexFile)) {
		if own == "" {
			continue
		}
		ownInfo, err := files.Stat(own)
		switch {
		case err == nil && os.SameFile(info, ownInfo):
			return &SameFileError{path}
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	return nil
}

// weightsIn lists the files of a folder that have the names that this program gives to
// weights, which a loader would read.
func weightsIn(files fsys.FS, folder string) ([]string, error) {
	open, err := files.Open(folder)
	if err != nil {
		return nil, err
	}
	defer open.Close()
	all, err := open.List()
	slices.Sort(all)
	var names []string
	for _, name := range all {
		if OwnWeights(name) {
			names = append(names, name)
		}
	}
	return names, err
}
