package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// OpenRegular opens a file for reading, which must be a regular one: pipes, devices
// and sockets have no size, and may have no end.
func OpenRegular(path string) (*os.File, fs.FileInfo, error) { return open(path, 0) }

// OpenStream is OpenRegular for what is read once from its beginning: it may be a
// pipe, too.
func OpenStream(path string) (*os.File, error) {
	f, _, err := open(path, fs.ModeNamedPipe)
	return f, err
}

// open opens a file that is regular or of the type allowed.
func open(path string, allowed fs.FileMode) (*os.File, fs.FileInfo, error) {
	check := func(info fs.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if kind := info.Mode().Type(); kind != 0 && kind != allowed {
			return &FormatError{Path: path, What: "not a regular file, but " + kindOf(kind)}
		}
		return nil
	}
	if err := check(os.Stat(path)); err != nil { // before it waits for the other end of a pipe
		return nil, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err := check(info, err); err != nil { // what was opened may be another file
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// kindOf names a type of file.
func kindOf(t fs.FileMode) string {
	switch {
	case t&fs.ModeDir != 0:
		return "a directory"
	case t&fs.ModeNamedPipe != 0:
		return "a pipe"
	case t&fs.ModeSocket != 0:
		return "a socket"
	case t&fs.ModeDevice != 0:
		return "a device"
	default:
		return "something irregular"
	}
}

// ReadFile returns the content of a regular file of at most so many bytes.
func ReadFile(path string, most int64) ([]byte, error) {
	f, info, err := OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > most { // some files of the system have none
		return nil, tooLarge(path, info.Size(), most)
	}
	content, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(content)) > most {
		err = tooLarge(path, int64(len(content)), most)
	}
	return content, err
}

func tooLarge(path string, size, most int64) error {
	return &FormatError{Path: path, What: fmt.Sprintf("too large: %d bytes or more, and at most %d are read", size, most)}
}
