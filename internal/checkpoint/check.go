package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
)

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
		case !force && exists(path): // be it a link to nothing
			return &ExistsError{path}
		}
	}
	return nil
}

// PlainName reports whether name, from a file of a stranger, is that of a file in
// its folder and leads nowhere else, on any system.
func PlainName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= 255 &&
		!strings.ContainsAny(name, `/\:`) && !strings.ContainsFunc(name, unicode.IsControl)
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
