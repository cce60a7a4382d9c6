package fsys

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// fileLock is a lock on one byte of a file. The byte lies far behind the end of the file,
// because nobody can read locked bytes and the file says which process holds the lock. The
// operating system releases the lock when the process dies.
type fileLock struct {
	in   *folder
	name string
	f    *os.File
}

// self describes this process.
func self() process { return process{os.Getpid(), "", "this"} }

// Lock takes the lock whose file has the given name.
func (f *folder) Lock(name string) (Lock, error) {
	file, err := f.root.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, f.named(err)
	}
	behind := windows.Overlapped{OffsetHigh: 1}
	err = windows.LockFileEx(windows.Handle(file.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &behind)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return nil, errors.Join(&HeldError{PID: readProcess(file).PID}, file.Close())
	}
	if err != nil {
		return nil, errors.Join(&os.PathError{Op: "lock", Path: f.in(name), Err: err}, file.Close())
	}
	self().write(file) //nolint:errcheck // only people read it
	return &fileLock{f, name, file}, nil
}

// Held returns true, because Windows lets nobody take a lock from the process that holds it.
func (l *fileLock) Held() bool { return true }

// Release closes the file and then removes it, since Windows removes no file that is open.
// If another process has opened the file in between, that process has the lock, and the
// file stays.
func (l *fileLock) Release() error {
	err := l.f.Close()
	l.in.Remove(l.name) //nolint:errcheck
	return err
}

// Drop gives the lock up and leaves its file.
func (l *fileLock) Drop() error { return l.f.Close() }
