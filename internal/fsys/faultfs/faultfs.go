package faultfs

import (
	"errors"
	"io/fs"
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

// Stat says what is at a path.
func (f *FS) Stat(path string) (fs.FileInfo, error) { return asked(f, fsys.OS{}.Stat, path) }

// Lstat says what is at a path, be it a link.
func (f *FS) Lstat(path string) (fs.FileInfo, error) { return asked(f, fsys.OS{}.Lstat, path) }

// asked makes a call that reads.
func asked[T any](f *FS, ask func(string) (T, error), path string) (T, error) {
	if err := f.call(); err != nil {
		var nothing T
		return nothing, err
	}
	return ask(path)
}

// Open opens a folder.
func (f *FS) Open(path string) (fsys.Folder, error) {
	return f.entered(asked(f, fsys.OS{}.Open, path))
}

// entered is a folder that was opened, with faults.
func (f *FS) entered(real fsys.Folder, err error) (fsys.Folder, error) {
	if err != nil {
		return nil, err
	}
	f.opened(real)
	return &folder{real, f}, nil
}

// opened keeps in mind what is open.
func (f *FS) opened(what interface{ Close() error }) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open = append(f.open, what)
}

// folder is an open folder.
type folder struct {
	fsys.Folder
	fs *FS
}

func (d *folder) in(name string) string { return filepath.Join(d.Path(), name) }

// then makes a call that changes something.
func (d *folder) then(do func() error, paths ...string) error {
	if err := d.fs.call(paths...); err != nil {
		return err
	}
	return do()
}

// Stat says what has a name.
func (d *folder) Stat(name string) (fs.FileInfo, error) { return asked(d.fs, d.Folder.Stat, name) }

// List lists all names.
func (d *folder) List() ([]string, error) {
	if err := d.fs.call(); err != nil {
		return nil, err
	}
	return d.Folder.List()
}

// Enter opens a folder.
func (d *folder) Enter(name string) (fsys.Folder, error) {
	return d.fs.entered(asked(d.fs, d.Folder.Enter, name))
}

// Open opens a file to read.
func (d *folder) Open(name string) (fsys.Input, error) {
	real, err := asked(d.fs, d.Folder.Open, name)
	if err != nil {
		return nil, err
	}
	d.fs.opened(real)
	return &input{real, d.fs}, nil
}

// Mkdir creates a folder.
func (d *folder) Mkdir(name string, private bool) error {
	return d.then(func() error { return d.Folder.Mkdir(name, private) }, d.in(name))
}

// Create creates a file.
func (d *folder) Create(name string) (fsys.File, error) { return d.writing(name, d.Folder.Create) }

// Reopen opens a file.
func (d *folder) Reopen(name string) (fsys.File, error) { return d.writing(name, d.Folder.Reopen) }

// Append opens a file.
func (d *folder) Append(name string) (fsys.File, error) { return d.writing(name, d.Folder.Append) }

func (d *folder) writing(name string, open func(string) (fsys.File, error)) (fsys.File, error) {
	if err := d.fs.call(d.in(name)); err != nil {
		return nil, err
	}
	real, err := open(name)
	if err != nil {
		return nil, err
	}
	d.fs.opened(real)
	return &file{real, d.fs}, nil
}

// Rename renames.
func (d *folder) Rename(from, to string) error {
	return d.then(func() error { return d.Folder.Rename(from, to) }, d.in(from), d.in(to))
}

// Move moves.
func (d *folder) Move(name string, to fsys.Folder, as string) error {
	into := to.(*folder)
	return d.then(func() error { return d.Folder.Move(name, into.Folder, as) }, d.in(name), into.in(as))
}

// Remove removes.
func (d *folder) Remove(name string) error {
	return d.then(func() error { return d.Folder.Remove(name) }, d.in(name))
}

// Sync puts names on the disk.
func (d *folder) Sync() error { return d.then(d.Folder.Sync) }

// Free returns the bytes that are free.
func (d *folder) Free() (int64, error) {
	if err := d.fs.call(); err != nil {
		return 0, err
	}
	return d.Folder.Free()
}

// Lock takes a lock.
func (d *folder) Lock(name string) (fsys.Lock, error) {
	l, err := asked(d.fs, d.Folder.Lock, name)
	if err != nil {
		return nil, err
	}
	d.fs.mu.Lock()
	defer d.fs.mu.Unlock()
	d.fs.locks = append(d.fs.locks, l)
	d.fs.paths = append(d.fs.paths, d.in(name))
	return &lock{l, d.fs}, nil
}

// lock is a lock that is held.
type lock struct {
	fsys.Lock
	fs *FS
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

// input is a file that is read.
type input struct {
	fsys.Input
	fs *FS
}

// Stat says what the file is.
func (f *input) Stat() (fs.FileInfo, error) {
	if err := f.fs.call(); err != nil {
		return nil, err
	}
	return f.Input.Stat()
}

// Read reads.
func (f *input) Read(p []byte) (int, error) {
	if err := f.fs.call(); err != nil {
		return 0, err
	}
	return f.Input.Read(p)
}

// ReadAt reads.
func (f *input) ReadAt(p []byte, at int64) (int, error) {
	if err := f.fs.call(); err != nil {
		return 0, err
	}
	return f.Input.ReadAt(p, at)
}

// file is an open file.
type file struct {
	fsys.File
	fs *FS
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
