// Package fsys is what the program asks of a file system when it writes: few
// calls, so that a test can fail any one of them. Reading goes to the operating
// system directly.
package fsys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// FS is a file system that is written to.
type FS interface {
	// Create creates a file that is not there yet.
	Create(path string) (File, error)
	// Append opens a file that is there, to write at its end.
	Append(path string) (File, error)
	// Mkdir creates a folder.
	Mkdir(path string) error
	// Rename gives a file or a folder another name, in the place of a file that has
	// it.
	Rename(from, to string) error
	// Remove removes a file or an empty folder.
	Remove(path string) error
	// SyncFolder puts the names in a folder on the disk.
	SyncFolder(path string) error
	// Lock takes the lock of which path is the file, which it creates. If a living
	// process has it, the error is a HeldError; what a dead one had is free.
	Lock(path string) (Lock, error)
	// Free returns the bytes that may still be written below a folder.
	Free(folder string) (int64, error)
}

// File is a file that is written to.
type File interface {
	io.Writer
	io.WriterAt
	Sync() error
	Close() error
}

// Lock is a lock that is held.
type Lock interface {
	// Release gives the lock up and removes its file.
	Release() error
	// Drop gives the lock up as a process does that dies: the file stays.
	Drop() error
}

// HeldError says that another process has a lock.
type HeldError struct{ PID int } // 0: not known

func (e *HeldError) Error() string {
	if e.PID == 0 {
		return "held by another process"
	}
	return fmt.Sprintf("held by process %d", e.PID)
}

// OS is the file system of the operating system.
type OS struct{}

// Create creates a file that is not there yet, with what modes umask leaves.
func (OS) Create(path string) (File, error) {
	return opened(os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o666))
}

// Append opens a file that is there, to write at its end.
func (OS) Append(path string) (File, error) {
	return opened(os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0))
}

// opened keeps a nil *os.File from becoming a File.
func opened(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Mkdir creates a folder, with what modes umask leaves.
func (OS) Mkdir(path string) error { return os.Mkdir(path, 0o777) }

// Rename gives a file or a folder another name.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove removes a file or an empty folder.
func (OS) Remove(path string) error { return os.Remove(path) }

// Lock takes the lock of which path is the file.
func (OS) Lock(path string) (Lock, error) { return lock(path) }

// Free returns the bytes that the user may still write below a folder; it is
// errors.ErrUnsupported where the system does not say.
func (OS) Free(folder string) (int64, error) { return free(folder) }

// RemoveAll removes path and everything below it, link by link. It is no error
// if there is nothing.
func RemoveAll(fsys FS, path string) error {
	err := fsys.Remove(path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	info, statErr := os.Lstat(path)
	if statErr != nil || !info.IsDir() {
		return err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := RemoveAll(fsys, filepath.Join(path, e.Name())); err != nil {
			return err
		}
	}
	return fsys.Remove(path)
}

// WriteFile creates a file of the given content and puts it on the disk.
func WriteFile(fsys FS, path string, content []byte) error {
	f, err := fsys.Create(path)
	if err != nil {
		return err
	}
	if _, err = f.Write(content); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
