// Package faultfs is a file system for tests, in which the call of one's choice
// fails, or is the last that the process makes.
package faultfs

import (
	"errors"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/mha2mla/mha2mla/internal/fsys"
)

// ErrKilled is what all calls return that a killed process would not make.
var ErrKilled = errors.New("killed")

// FS passes calls on to the operating system but for one.
type FS struct {
	at   int  // the call that fails, counted from 1; 0: none
	kill bool // all later ones, too

	mu     sync.Mutex
	calls  int
	paths  []string
	open   []interface{ Close() error }
	locks  []fsys.Lock
	killed bool
}

// Fail returns a file system in which the n-th call fails.
func Fail(n int) *FS { return &FS{at: n} }

// Kill returns a file system on which the process dies in the n-th call: that one
// does half of what it should, none after it does anything, and what the process
// had open or locked is closed.
func Kill(n int) *FS { return &FS{at: n, kill: true} }

// Calls is the number of calls so far.
func (f *FS) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// Reached reports whether there has been a call to fail.
func (f *FS) Reached() bool { return f.Calls() >= f.at }

// Paths lists the paths of all that was created, renamed or removed.
func (f *FS) Paths() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.paths
}

// call counts a call that touches the given paths, and says whether it fails.
func (f *FS) call(paths ...string) error { return f.callHalf(func() {}, paths...) }

// callHalf is call for what can be done by half, which it is if it fails.
func (f *FS) callHalf(half func(), paths ...string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.killed {
		return ErrKilled
	}
	f.calls++
	for _, p := range paths {
		f.paths = append(f.paths, filepath.Clean(p))
	}
	if f.calls != f.at {
		return nil
	}
	if half(); f.kill {
		f.die()
		return ErrKilled
	}
	return syscall.EIO
}

// die closes everything, as the system does.
func (f *FS) die() {
	f.killed = true
	for _, c := range f.open {
		c.Close() //nolint:errcheck // a dead process does not mind
	}
	for _, l := range f.locks {
		l.Drop() //nolint:errcheck
	}
}

// file is an open file.
type file struct {
	fsys.File
	fs *FS
}

func (f *FS) opened(path string, open func(string) (fsys.File, error)) (fsys.File, error) {
	if err := f.call(path); err != nil {
		return nil, err
	}
	real, err := open(path)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open = append(f.open, real)
	return &file{real, f}, nil
}

// Create creates a file.
func (f *FS) Create(path string) (fsys.File, error) { return f.opened(path, fsys.OS{}.Create) }

// Append opens a file.
func (f *FS) Append(path string) (fsys.File, error) { return f.opened(path, fsys.OS{}.Append) }

// Mkdir creates a folder.
func (f *FS) Mkdir(path string) error {
	return f.then(func() error { return fsys.OS{}.Mkdir(path) }, path)
}

// Rename renames.
func (f *FS) Rename(from, to string) error {
	return f.then(func() error { return fsys.OS{}.Rename(from, to) }, from, to)
}

// Remove removes.
func (f *FS) Remove(path string) error {
	return f.then(func() error { return fsys.OS{}.Remove(path) }, path)
}

// SyncFolder puts names on the disk.
func (f *FS) SyncFolder(path string) error {
	return f.then(func() error { return fsys.OS{}.SyncFolder(path) })
}

// Free returns the bytes that are free.
func (f *FS) Free(folder string) (int64, error) {
	if err := f.call(); err != nil {
		return 0, err
	}
	return fsys.OS{}.Free(folder)
}

func (f *FS) then(do func() error, paths ...string) error {
	if err := f.call(paths...); err != nil {
		return err
	}
	return do()
}

// lock is a lock that is held.
type lock struct {
	fsys.Lock
	fs *FS
}

// Lock takes a lock.
func (f *FS) Lock(path string) (fsys.Lock, error) {
	if err := f.call(path); err != nil {
		return nil, err
	}
	l, err := fsys.OS{}.Lock(path)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.locks = append(f.locks, l)
	return &lock{l, f}, nil
}

// Release gives the lock up. If it fails, the lock is given up without.
func (l *lock) Release() error {
	if err := l.fs.call(); err != nil {
		if !errors.Is(err, ErrKilled) {
			l.Lock.Drop() //nolint:errcheck // the failure is the one made up
		}
		return err
	}
	return l.Lock.Release()
}

// Write writes, if it is to fail a half.
func (f *file) Write(p []byte) (n int, err error) {
	if err := f.fs.callHalf(func() { n, _ = f.File.Write(p[:len(p)/2]) }); err != nil {
		return n, err
	}
	return f.File.Write(p)
}

// WriteAt writes, if it is to fail a half.
func (f *file) WriteAt(p []byte, at int64) (n int, err error) {
	if err := f.fs.callHalf(func() { n, _ = f.File.WriteAt(p[:len(p)/2], at) }); err != nil {
		return n, err
	}
	return f.File.WriteAt(p, at)
}

// Sync puts the content on the disk.
func (f *file) Sync() error {
	if err := f.fs.call(); err != nil {
		return err
	}
	return f.File.Sync()
}

// Close closes the file, also if it is to fail.
func (f *file) Close() error {
	if err := f.fs.call(); err != nil {
		f.File.Close() //nolint:errcheck // the failure is the one made up
		return err
	}
	return f.File.Close()
}
