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

// ExistsError says that an output is already there.
type ExistsError struct{ Path string }

func (e *ExistsError) Error() string { return fmt.Sprintf("%q exists already", e.Path) }

// Kind says that what was asked for cannot be meant.
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

// Kind says that what was asked for cannot be meant.
func (e *SameFileError) Kind() fault.Kind { return fault.Usage }

// Hint says what to do about the error.
func (e *SameFileError) Hint() string { return "name another output" }

// NotAFileError says that an output is there and cannot be replaced.
type NotAFileError struct{ Path, What string }

func (e *NotAFileError) Error() string { return fmt.Sprintf("%q is %s", e.Path, e.What) }

// Kind says that what was asked for cannot be meant.
func (e *NotAFileError) Kind() fault.Kind { return fault.Usage }

// Hint says what to do about the error.
func (e *NotAFileError) Hint() string { return "name another output" }

// OwnedError says that a file belongs to an output other than the one that would
// replace it.
type OwnedError struct{ Path, Owner string }

func (e *OwnedError) Error() string {
	return fmt.Sprintf("%q belongs to %q, which would be left with parts of another", e.Path, e.Owner)
}

// Kind says that what was asked for cannot be meant.
func (e *OwnedError) Kind() fault.Kind { return fault.Usage }

// Hint says what to do about the error.
func (e *OwnedError) Hint() string { return "name another output" }

// CheckOutput makes sure that files of the given names may be written to
// folder. It refuses a folder without a parent, every name that is, through any
// link, a file of in, every name that is no regular file, and every name that
// belongs to another output; and, unless force, whatever exists: the folder itself if
// whole says that it is the output, else the names, of which the first is the one
// that the others come with. It touches nothing.
func CheckOutput(in *Source, folder string, names []string, whole, force bool) error {
	return checkOutput(fsys.OS{}, in, folder, names, whole, force)
}

func checkOutput(files fsys.FS, in *Source, folder string, names []string, whole, force bool) error {
	info, err := files.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist) && whole:
		if there, err := fsys.ExistsAt(files, folder); there || err != nil {
			return cmp.Or(err, error(&NotAFileError{folder, "a symbolic link to nothing"}))
		}
		_, err := files.Stat(filepath.Dir(filepath.Clean(folder)))
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
		names = append(stale, names...) // they will be removed
	} else if err := belongsElsewhere(folder, names); err != nil {
		return err
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
		if there && !force { // be it a link to nothing
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

// PlainName reports whether name, from a file of a stranger, is that of a file in
// its folder and leads nowhere else, on any system.
func PlainName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= 255 &&
		!strings.ContainsAny(name, `/\:`) && !strings.ContainsFunc(name, unicode.IsControl)
}

// refuseOwn is an error if what info says is at path is, through any link, a file that
// the source is read from.
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

// weightsIn lists what a loader takes for the weights of a folder, under the
// names that this program gives them.
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
