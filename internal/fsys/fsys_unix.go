//go:build !windows

package fsys

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// SyncFolder puts the names in a folder on the disk.
func (OS) SyncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// flock is a lock that the system gives up when the process dies. Its file says
// which process that is.
type flock struct{ f *os.File }

func lock(path string) (Lock, error) {
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o666)
		if err != nil {
			return nil, err
		}
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err {
		case nil, unix.ENOLCK, unix.ENOTSUP, unix.ENOSYS: // some network file systems have no locks
		case unix.EWOULDBLOCK:
			return nil, errors.Join(&HeldError{holder(path)}, f.Close())
		default:
			return nil, errors.Join(&os.PathError{Op: "lock", Path: path, Err: err}, f.Close())
		}
		if inPlace(f, path) {
			f.Truncate(0)                                   //nolint:errcheck // the number is for people
			f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0) //nolint:errcheck
			return &flock{f}, nil
		}
		f.Close() //nolint:errcheck // whoever had it has removed it meanwhile
	}
}

// inPlace reports whether f is still the file at path.
func inPlace(f *os.File, path string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(held, there)
}

// holder is the process that the file of a lock names; 0 if it names none.
func holder(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

// Release removes the file while nobody else can have the lock.
func (l *flock) Release() error { return errors.Join(os.Remove(l.f.Name()), l.f.Close()) }

// Drop leaves the file.
func (l *flock) Drop() error { return l.f.Close() }
