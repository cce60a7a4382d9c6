package fsys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// OS is the file system of the operating system.
type OS struct{}

// Stat describes what is at a path and follows links.
func (OS) Stat(path string) (fs.FileInfo, error) { return os.Stat(path) }

// Lstat describes what is at a path and follows no link.
func (OS) Lstat(path string) (fs.FileInfo, error) { return os.Lstat(path) }

// Open opens the folder at a path.
func (OS) Open(path string) (Folder, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &folder{root, path}, nil
}

// folder is a folder of the operating system.
type folder struct {
	root *os.Root
	path string
}

// Path returns the path under which the folder was opened.
func (f *folder) Path() string { return f.path }

// in returns the path of a name in the folder.
func (f *folder) in(name string) string { return filepath.Join(f.path, name) }

// named puts the whole path into an error of the system, which knows only the name.
func (f *folder) named(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return &fs.PathError{Op: strings.TrimSuffix(at.Op, "at"), Path: f.in(at.Path), Err: at.Err}
	}
	return err
}

// Stat describes what has a name, and follows no link.
func (f *folder) Stat(name string) (fs.FileInfo, error) {
	info, err := f.root.Lstat(name)
	return info, f.named(err)
}

// List lists all names.
func (f *folder) List() ([]string, error) {
	d, err := f.root.Open(".")
	if err != nil {
		return nil, f.named(err)
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// Enter opens a folder in this one. It must be a real folder, and the user's.
func (f *folder) Enter(name string) (Folder, error) {
	there, err := f.own(name, fs.ModeDir)
	if err != nil {
		return nil, err
	}
	root, err := f.root.OpenRoot(name)
	if err != nil {
		return nil, f.named(err)
	}
	info, err := root.Stat(".")
	if err != nil || !os.SameFile(info, there) {
		return nil, errors.Join(f.changed(name, err), root.Close())
	}
	return &folder{root, f.in(name)}, nil
}

// own describes what has a name. It returns an UnsafeError unless that is of the given type
// and the user owns it.
func (f *folder) own(name string, kind fs.FileMode) (fs.FileInfo, error) {
	info, err := f.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Mode().Type() != kind {
		return nil, &UnsafeError{f.in(name), fmt.Sprintf("%s, where there should be %s", kindOf(info.Mode()), kindOf(kind))}
	}
	return info, owned(f.in(name), info)
}

// errChanged says that something was replaced between the moment when it was checked and
// the moment when it was opened.
var errChanged = errors.New("it was replaced in this moment")

// changed returns errChanged with the path of a name, or err if that is an error.
func (f *folder) changed(name string, err error) error {
	if err != nil {
		return f.named(err)
	}
	return &fs.PathError{Op: "open", Path: f.in(name), Err: errChanged}
}

// Mkdir creates a folder.
func (f *folder) Mkdir(name string, private bool) error {
	mode := fs.FileMode(0o777)
	if private {
		mode = 0o700
	}
	return f.named(f.root.Mkdir(name, mode))
}

// Create creates a file.
func (f *folder) Create(name string) (File, error) {
	file, err := f.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o666)
	if err != nil { // a File that holds a nil *os.File would not be nil
		return nil, f.named(err)
	}
	return file, nil
}

// Open opens a file to be read.
func (f *folder) Open(name string) (Input, error) {
	file, err := f.open(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return file, nil
}

// Reopen opens a file to be written at any place.
func (f *folder) Reopen(name string) (File, error) { return f.writing(name, os.O_RDWR) }

// Append opens a file to be written at its end.
func (f *folder) Append(name string) (File, error) {
	return f.writing(name, os.O_WRONLY|os.O_APPEND)
}

func (f *folder) writing(name string, flag int) (File, error) {
	file, err := f.open(name, flag)
	if err != nil {
		return nil, err
	}
	return file, nil
}

// open opens a regular file that the user owns. If the file was just replaced by a pipe,
// it does not wait for the pipe's other end.
func (f *folder) open(name string, flag int) (*os.File, error) {
	there, err := f.own(name, 0)
	if err != nil {
		return nil, err
	}
	file, err := f.root.OpenFile(name, flag|nonblock, 0)
	if err != nil {
		return nil, f.named(err)
	}
	info, err := file.Stat()
	if err != nil || !os.SameFile(info, there) {
		return nil, errors.Join(f.changed(name, err), file.Close())
	}
	return file, nil
}

// Rename gives a file another name.
func (f *folder) Rename(from, to string) error {
	return f.linked(f.root.Rename(from, to), from, f.in(to))
}

// Move gives a file or folder a name in another folder. It fails if something has that name
// already.
func (f *folder) Move(name string, to Folder, as string) error {
	into, ok := to.(*folder)
	if !ok {
		return fmt.Errorf("internal: %T is no folder of the system", to)
	}
	return f.linked(move(f, name, into, as), name, into.in(as))
}

// linked puts both paths into an error of renaming something.
func (f *folder) linked(err error, from, to string) error {
	if err == nil {
		return nil
	}
	var at *os.LinkError
	if errors.As(err, &at) {
		err = at.Err
	}
	return &os.LinkError{Op: "rename", Old: f.in(from), New: to, Err: err}
}

// Remove removes a file or an empty folder.
func (f *folder) Remove(name string) error { return f.named(f.root.Remove(name)) }

// Sync puts the names in the folder on the disk. Some file systems have no call for that.
// There the program can do nothing about it, and Sync returns no error.
func (f *folder) Sync() error {
	err := f.sync()
	if unsupported(err) {
		return nil
	}
	return err
}

// Close closes the folder.
func (f *folder) Close() error { return f.root.Close() }
