package fsys

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// fileLock is a lock on a byte far behind the end of its file, which says which
// process has it: locked bytes cannot be read. The system gives it up when the
// process dies.
type fileLock struct {
	in   *folder
	name string
	f    *os.File
}

// self describes this process.
func self() process { return process{os.Getpid(), "", "this"} }

// Lock takes the lock of which name is the file.
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
	self().write(file) //nolint:errcheck // it is for people
	return &fileLock{f, name, file}, nil
}

// Held is true: the system sees to it.
func (l *fileLock) Held() bool { return true }

// Release removes the file, which cannot be done while it is open. If somebody
// else has opened it in between, it is theirs, and stays.
func (l *fileLock) Release() error {
	err := l.f.Close()
	l.in.Remove(l.name) //nolint:errcheck
	return err
}

// Drop leaves the file.
func (l *fileLock) Drop() error { return l.f.Close() }
