//go:build !windows

package fsys

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// flock is a lock that the system releases when the process dies. Its file says which
// process holds it. Some network file systems have no such locks. There the existence of
// the file is the lock, until the process that it names is known to be dead.
type flock struct {
	in     *folder
	name   string
	f      *os.File
	signed bool // the file says that this process holds the lock
}

// Lock takes the lock whose file has the given name.
func (f *folder) Lock(name string) (Lock, error) {
	for {
		l, fresh, err := f.lockFile(name)
		if err != nil {
			return nil, err
		}
		err = unix.Flock(int(l.f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
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
			l.signed = self().write(l.f) == nil // the disk may have no room for it
			return l, nil
		}
		l.f.Close() //nolint:errcheck // the process that held the lock has just removed its file
	}
}

// lockFile opens the file of a lock, which it creates if need be. The result fresh says
// that it did.
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
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errChanged) { // others remove it and create it again
			return nil, false, err
		}
	}
}

// vacate removes the lock file of a dead process on a file system without locks. It returns
// a HeldError if the process lives, or if nobody here can know that.
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
			return nil // another process was faster
		}
		return err
	}
	moved := &flock{in: f, name: away, f: l.f}
	if !moved.inPlace() { // another process was faster, and this is its lock
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

// Held reports whether this process still holds the lock.
func (l *flock) Held() bool { return l.inPlace() && (!l.signed || readProcess(l.f) == self()) }

// Release removes the file before it closes it, so that nobody else can hold the lock when
// the file goes.
func (l *flock) Release() error {
	if !l.Held() { // the file is another process's by now
		return l.f.Close()
	}
	return errors.Join(l.in.Remove(l.name), l.f.Close())
}

// Drop gives the lock up and leaves its file.
func (l *flock) Drop() error { return l.f.Close() }
