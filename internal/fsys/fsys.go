package fsys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/mha2mla/mha2mla/internal/fault"
)

// FS is a file system.
type FS interface {
	// Stat says what is at a path, Lstat what it is if that is a link.
	Stat(path string) (fs.FileInfo, error)
	Lstat(path string) (fs.FileInfo, error)
	// Open opens the folder at a path, which the user named: links are followed.
	Open(path string) (Folder, error)
}

// Folder is a folder that is open. Names are those of what is directly in it.
type Folder interface {
	// Path is where the folder was when it was opened.
	Path() string
	// Stat says what has a name, be it a link. The folder itself is ".".
	Stat(name string) (fs.FileInfo, error)
	// List lists the names of all that is there.
	List() ([]string, error)
	// Enter opens a folder, which must be a real one of the user's own.
	Enter(name string) (Folder, error)
	// Mkdir creates a folder: a private one, or with what modes umask leaves.
	Mkdir(name string, private bool) error
	// Open opens a file to read, which must be a regular one of the user's own.
	Open(name string) (Input, error)
	// Create creates a file that is not there yet.
	Create(name string) (File, error)
	// Reopen opens a file that is there, of the user's own, to write at any place.
	Reopen(name string) (File, error)
	// Append opens a file that is there, of the user's own, to write at its end.
	Append(name string) (File, error)
	// Rename gives a file another name, in the place of a file that has it.
	Rename(from, to string) error
	// Move gives a file or a folder a name in a folder of the same disk. What has
	// that name already stays: the error is then fs.ErrExist.
	Move(name string, to Folder, as string) error
	// Remove removes a file or an empty folder.
	Remove(name string) error
	// Sync puts the names in the folder on the disk, where there is a call for it.
	Sync() error
	// Lock takes the lock of which name is the file, which it creates. If a living
	// process has it, the error is a HeldError; what a dead one had is free.
	Lock(name string) (Lock, error)
	// Free returns the bytes that may still be written; it is errors.ErrUnsupported
	// where the system does not say.
	Free() (int64, error)
	Close() error
}

// File is a file that is written to.
type File interface {
	io.Writer
	io.WriterAt
	Sync() error
	Close() error
}

// Input is a file that is read.
type Input interface {
	io.Reader
	io.ReaderAt
	Stat() (fs.FileInfo, error)
	Close() error
}

// Lock is a lock that is held.
type Lock interface {
	// Held reports whether the lock is still this process's: where a file system
	// locks nothing, others may have taken it.
	Held() bool
	// Release gives the lock up and removes its file.
	Release() error
	// Drop gives the lock up as a process does that dies: the file stays.
	Drop() error
}

// HeldError says that another process has a lock.
type HeldError struct {
	PID     int    // 0: not known
	Unknown string // the machine it runs on, if nobody here can tell whether it still does
}

func (e *HeldError) Error() string {
	if e.PID == 0 {
		return "held by another process"
	}
	return fmt.Sprintf("held by process %d", e.PID)
}

// UnsafeError says that something is not what this program puts there.
type UnsafeError struct{ Path, What string }

func (e *UnsafeError) Error() string { return fmt.Sprintf("%q is %s", e.Path, e.What) }

// Kind says that the input is malformed or unsafe.
func (e *UnsafeError) Kind() fault.Kind { return fault.Malformed }

// Hint says what to do about the error.
func (e *UnsafeError) Hint() string {
	return "this program does not make it so; see what it is and remove it, or name another output"
}

// kindOf names a kind of file.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode.IsRegular():
		return "a file"
	default:
		return "a special file"
	}
}

// Exists reports whether there is something of a name. Only if the system says that
// there is not is there not.
func Exists(in Folder, name string) (bool, error) { return there(in.Stat(name)) }

// there reads what Stat says.
func there(_ fs.FileInfo, err error) (bool, error) {
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// ExistsAt is Exists for a path.
func ExistsAt(files FS, path string) (bool, error) { return there(files.Lstat(path)) }

// RemoveAll removes what has a name and everything below it, link by link. It is no
// error if there is nothing.
func RemoveAll(in Folder, name string) error {
	err := in.Remove(name)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if info, statErr := in.Stat(name); statErr != nil || !info.IsDir() {
		return err
	}
	below, err := in.Enter(name)
	if err != nil {
		return err
	}
	if err := errors.Join(RemoveIn(below, nil), below.Close()); err != nil {
		return err
	}
	return in.Remove(name)
}

// RemoveIn removes all that is in a folder but for what keep says.
func RemoveIn(in Folder, keep func(name string) bool) error {
	names, err := in.List()
	errs := []error{err}
	for _, name := range names {
		if keep == nil || !keep(name) {
			errs = append(errs, RemoveAll(in, name))
		}
	}
	return errors.Join(errs...)
}

// WriteFile creates a file of the given content and puts it on the disk.
func WriteFile(in Folder, name string, content []byte) error {
	f, err := in.Create(name)
	if err != nil {
		return err
	}
	if _, err = f.Write(content); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// ReadFile returns the content of a file of the user's own of at most so many bytes.
// One that is larger was not written by this program.
func ReadFile(in Folder, name string, most int64) ([]byte, error) {
	f, err := in.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, &UnsafeError{filepath.Join(in.Path(), name), fmt.Sprintf("a file of %d bytes, where there are never more than %d", info.Size(), most)}
	}
	return io.ReadAll(io.LimitReader(f, most))
}
