//go:build !windows

package fsys

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// flock is a lock that the system gives up when the process dies. Its file says
// which process that is. Some network file systems have no such locks: there, that
// the file is there is the lock, until the process it names is known to be dead.
type flock struct {
	in     *folder
	name   string
	f      *os.File
	signed bool // the file says that it is this process's
}

// Lock takes the lock of which name is the file.
func (f *folder) Lock(name string) (Lock, error) {
	for {
		l, fresh, err := f.lockFile(name)
		if err != nil {
			return nil, err
		}
		switch err := unix.Flock(int(l.f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case err == nil:
		case errors.Is(err, unix.EWOULDBLOCK):
			return nil, errors.Join(&HeldError{PID: readProcess(l.f).PID}, l.f.Close())
		case unsupported(err) || errors.Is(err, unix.ENOLCK):
			if fresh {
				break
			}
			if err := errors.Join(f.vacate(l), l.f.Close()); err != nil {
				return nil, err
			}
			continue
		default:
			return nil, errors.Join(&os.PathError{Op: "lock", Path: f.in(name), Err: err}, l.f.Close())
		}
		if l.inPlace() {
			l.signed = self().write(l.f) == nil // there may be no room for it
			return l, nil
		}
		l.f.Close() //nolint:errcheck // whoever had it has removed it meanwhile
	}
}

// lockFile opens the file of a lock, and says whether it created it.
func (f *folder) lockFile(name string) (l *flock, fresh bool, err error) {
	for {
		file, err := f.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err == nil {
			return &flock{in: f, name: name, f: file}, true, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, false, f.named(err)
		}
		file, err = f.open(name, os.O_RDWR)
		if err == nil {
			return &flock{in: f, name: name, f: file}, false, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errChanged) { // else it goes and comes
			return nil, false, err
		}
	}
}

// vacate takes the file of a dead process out of the way, where there are no locks.
func (f *folder) vacate(l *flock) error {
	holder := readProcess(l.f)
	dead, known := holder.dead()
	switch {
	case known && !dead:
		return &HeldError{PID: holder.PID}
	case !known:
		return &HeldError{PID: holder.PID, Unknown: holder.machine()}
	}
	away := l.name + "-" + holder.Start + ".dead"
	if err := f.Rename(l.name, away); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // somebody else did
		}
		return err
	}
	moved := &flock{in: f, name: away, f: l.f}
	if !moved.inPlace() { // it was another's, who was faster
		return f.Move(away, f, l.name)
	}
	return f.Remove(away)
}

// inPlace reports whether the file still has its name.
func (l *flock) inPlace() bool {
	held, err := l.f.Stat()
	if err != nil {
		return false
	}
	there, err := l.in.root.Lstat(l.name)
	return err == nil && os.SameFile(held, there)
}

// Held reports whether the lock is still this process's.
func (l *flock) Held() bool { return l.inPlace() && (!l.signed || readProcess(l.f) == self()) }

// Release removes the file while nobody else can have the lock.
func (l *flock) Release() error {
	if !l.Held() { // and is none any more
		return l.f.Close()
	}
	return errors.Join(l.in.Remove(l.name), l.f.Close())
}

// Drop leaves the file.
func (l *flock) Drop() error { return l.f.Close() }
