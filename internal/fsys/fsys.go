package fsys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/mha2mla/mha2mla/internal/fault"
)

// FS is a file system, as far as the program writes to it.
type FS interface {
	// Stat describes what is at a path and follows links; Lstat follows none.
	Stat(path string) (fs.FileInfo, error)
	Lstat(path string) (fs.FileInfo, error)
	// Open opens the folder at a path. The user has named it, so links are followed.
	Open(path string) (Folder, error)
}

// Folder is a folder that is open. Its methods take single names of what lies directly in
// it.
type Folder interface {
	// Path returns the path under which the folder was opened.
	Path() string
	// Stat describes what has a name, and follows no link. The folder itself is ".".
	Stat(name string) (fs.FileInfo, error)
	// List lists the names of everything in the folder.
	List() ([]string, error)
	// Enter opens a folder in this one. It returns an UnsafeError unless that is a real
	// folder, and no link, that the user owns.
	Enter(name string) (Folder, error)
	// Mkdir creates a folder. Only the user may enter a private one; the umask decides
	// who may enter others.
	Mkdir(name string, private bool) error
	// Open opens a file to be read. It returns an UnsafeError unless that is a regular
	// file that the user owns.
	Open(name string) (Input, error)
	// Create creates a file, and fails if something has the name already.
	Create(name string) (File, error)
	// Reopen opens an existing file that the user owns, to be written at any place.
	Reopen(name string) (File, error)
	// Append opens an existing file that the user owns, to be written at its end.
	Append(name string) (File, error)
	// Rename gives a file another name, and replaces a file that has it.
	Rename(from, to string) error
	// Move gives a file or a folder a name in another folder on the same disk. It returns
	// fs.ErrExist if something has that name already, and changes nothing then.
	Move(name string, to Folder, as string) error
	// Remove removes a file or an empty folder.
	Remove(name string) error
	// Sync puts the names in the folder on the disk, if the system has a call for that.
	Sync() error
	// Lock takes the lock whose file has the given name, and creates the file. It returns
	// a HeldError if a living process holds the lock. The lock of a dead one is free.
	Lock(name string) (Lock, error)
	// Free returns how many bytes may still be written, and errors.ErrUnsupported if the
	// system does not say.
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
	// Held reports whether this process still holds the lock. On a file system without
	// locks, another process may have taken it.
	Held() bool
	// Release gives the lock up and removes its file.
	Release() error
	// Drop gives the lock up and leaves its file, as a process does when it dies.
	Drop() error
}

// HeldError says that another process holds a lock.
type HeldError struct {
	PID     int    // number of that process; 0 if not known
	Unknown string // the machine on which it runs, if nobody here can know whether it still does
}

func (e *HeldError) Error() string {
	if e.PID == 0 {
		return "held by another process"
	}
	return fmt.Sprintf("held by process %d", e.PID)
}

// UnsafeError says that something is there that this program has not put there.
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

// Exists reports whether something in the folder has a name. It returns false without an
// error only if the system says that nothing has it.
func Exists(in Folder, name string) (bool, error) { return there(in.Stat(name)) }

// there makes the results of Exists from those of Stat.
func there(_ fs.FileInfo, err error) (bool, error) {
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// ExistsAt is Exists for a path. A link that leads nowhere exists.
func ExistsAt(files FS, path string) (bool, error) { return there(files.Lstat(path)) }

// RemoveAll removes what has a name and everything below it. It removes links and does not
// follow them. It is no error if nothing has the name.
func RemoveAll(in Folder, name string) error {
	err := in.Remove(name)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	info, statErr := in.Stat(name)
	if statErr != nil || !info.IsDir() {
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

// RemoveIn removes everything in a folder except the names that keep reports. A nil keep
// reports none.
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

// WriteFile creates a file with the given content and puts it on the disk.
func WriteFile(in Folder, name string, content []byte) error {
	f, err := in.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// ReadFile returns the content of a file that the user owns. It returns an UnsafeError if
// the file has more than most bytes, because this program has not written such a file.
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
