package fsys

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/windows"
)

// SyncFolder does nothing: Windows has no such call.
func (OS) SyncFolder(string) error { return nil }

// fileLock is a lock on a byte far behind the end of its file, which says which
// process has it: locked bytes cannot be read. The system gives it up when the
// process dies.
type fileLock struct{ f *os.File }

func lock(path string) (Lock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	behind := windows.Overlapped{OffsetHigh: 1}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &behind)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		text, _ := io.ReadAll(f)
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return nil, errors.Join(&HeldError{pid}, f.Close())
	}
	if err != nil {
		return nil, errors.Join(&os.PathError{Op: "lock", Path: path, Err: err}, f.Close())
	}
	f.Truncate(0)                                   //nolint:errcheck // the number is for people
	f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0) //nolint:errcheck
	return &fileLock{f}, nil
}

// Release removes the file, which cannot be done while it is open. If somebody
// else has opened it in between, it is theirs, and stays.
func (l *fileLock) Release() error {
	err := l.f.Close()
	os.Remove(l.f.Name()) //nolint:errcheck
	return err
}

// Drop leaves the file.
func (l *fileLock) Drop() error { return l.f.Close() }

// free returns the bytes that the user may still write below a folder.
func free(folder string) (int64, error) {
	name, err := windows.UTF16PtrFromString(folder)
	if err != nil {
		return 0, err
	}
	var available uint64
	if err := windows.GetDiskFreeSpaceEx(name, &available, nil, nil); err != nil {
		return 0, &os.PathError{Op: "free space of", Path: folder, Err: err}
	}
	return int64(min(available, 1<<62)), nil
}
