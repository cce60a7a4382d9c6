package faultfs

import (
	"errors"
	"io/fs"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/mha2mla/mha2mla/internal/fsys"
)

// ErrKilled is the error of all calls that a killed process could not have made.
var ErrKilled = errors.New("killed")

// FS passes all calls on to the operating system but one, which fails.
type FS struct {
	at   int  // number of the call that fails, counted from 1; 0 if none does
	kill bool // all later calls fail, too
	late bool // it does what it should before it fails

	mu     sync.Mutex
	calls  int
	paths  []string
	open   []interface{ Close() error }
	locks  []fsys.Lock
	killed bool
}

// Fail returns a file system in which the n-th call fails.
func Fail(n int) *FS { return &FS{at: n} }

// Repeat returns a file system in which the n-th call is made twice, as a network does that has lost
// the answer to a request, so that a rename or a removal that has succeeded fails for want of the
// file.
func Repeat(n int) *FS { return &FS{at: n, late: true} }

// Kill returns a file system on which the process dies in the n-th call. That call does
// half of what it should, and no later call does anything. All files are closed and all
// locks are released, as the system does when a process dies.
func Kill(n int) *FS { return &FS{at: n, kill: true} }

// Calls returns the number of calls so far.
func (f *FS) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// Reached reports whether there were enough calls for one to fail.
func (f *FS) Reached() bool { return f.Calls() >= f.at }

// Paths lists the paths of all files and folders that were created, renamed or removed.
func (f *FS) Paths() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.paths
}

// call counts a call that touches the given paths. It returns an error if the call shall
// fail.
func (f *FS) call(paths ...string) error { return f.callHalf(func() {}, paths...) }

// callHalf is call for something that can be done by half. It does that half if the call
// shall fail.
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
	half()
	if f.kill {
		f.die()
		return ErrKilled
	}
	if f.late {
		return errRepeated
	}
	return syscall.EIO
}

// errRepeated is the error of the second of two calls.
var errRepeated = &fs.PathError{Op: "repeat", Err: fs.ErrNotExist}

// die closes all files and releases all locks, as the system does when a process dies.
func (f *FS) die() {
	f.killed = true
	for _, c := range f.open {
		c.Close() //nolint:errcheck // a dead process would not see the error
	}
	for _, l := range f.locks {
		l.Drop() //nolint:errcheck
	}
}

// Stat describes what is at a path and follows links.
func (f *FS) Stat(path string) (fs.FileInfo, error) { return asked(f, fsys.OS{}.Stat, path) }

// Lstat describes what is at a path and follows no link.
func (f *FS) Lstat(path string) (fs.FileInfo, error) { return asked(f, fsys.OS{}.Lstat, path) }

// asked counts a call that only reads, and makes it unless it shall fail.
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

// entered wraps a folder that was opened, so that its calls can fail.
func (f *FS) entered(real fsys.Folder, err error) (fsys.Folder, error) {
	if err != nil {
		return nil, err
	}
	f.opened(real)
	return &folder{real, f}, nil
}

// opened notes that something is open, so that die can close it.
func (f *FS) opened(what interface{ Close() error }) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open = append(f.open, what)
}

// folder is an open folder, whose calls can fail.
type folder struct {
	fsys.Folder
	fs *FS
}

func (d *folder) in(name string) string { return filepath.Join(d.Path(), name) }

// then counts a call that changes something, and makes it unless it shall fail.
func (d *folder) then(do func() error, paths ...string) error {
	err := d.fs.call(paths...)
	if err == errRepeated { //nolint:errorlint // it is that very error
		return errors.Join(do(), err)
	}
	if err != nil {
		return err
	}
	return do()
}

// Stat describes what has a name.
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

// Open opens a file to be read.
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

// Reopen opens a file to be written at any place.
func (d *folder) Reopen(name string) (fsys.File, error) { return d.writing(name, d.Folder.Reopen) }

// Append opens a file to be written at its end.
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

// Rename gives a file another name.
func (d *folder) Rename(from, to string) error {
	return d.then(func() error { return d.Folder.Rename(from, to) }, d.in(from), d.in(to))
}

// Move gives a file or folder a name in another folder.
func (d *folder) Move(name string, to fsys.Folder, as string) error {
	into := to.(*folder)
	return d.then(func() error { return d.Folder.Move(name, into.Folder, as) }, d.in(name), into.in(as))
}

// Remove removes a file or an empty folder.
func (d *folder) Remove(name string) error {
	return d.then(func() error { return d.Folder.Remove(name) }, d.in(name))
}

// Sync puts the names in the folder on the disk.
func (d *folder) Sync() error { return d.then(d.Folder.Sync) }

// Free returns how many bytes may still be written.
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

// lock is a lock that is held, whose calls can fail.
type lock struct {
	fsys.Lock
	fs *FS
}

// Release gives the lock up and removes its file. If it shall fail, it gives the lock up
// and leaves the file.
func (l *lock) Release() error {
	if err := l.fs.call(); err != nil {
		if !errors.Is(err, ErrKilled) {
			l.Lock.Drop() //nolint:errcheck // the made-up failure is the one to return
		}
		return err
	}
	return l.Lock.Release()
}

// input is a file that is read, whose calls can fail.
type input struct {
	fsys.Input
	fs *FS
}

// Stat describes the file.
func (f *input) Stat() (fs.FileInfo, error) {
	if err := f.fs.call(); err != nil {
		return nil, err
	}
	return f.Input.Stat()
}

// Read reads the next bytes.
func (f *input) Read(p []byte) (int, error) {
	if err := f.fs.call(); err != nil {
		return 0, err
	}
	return f.Input.Read(p)
}

// ReadAt reads bytes at a place.
func (f *input) ReadAt(p []byte, at int64) (int, error) {
	if err := f.fs.call(); err != nil {
		return 0, err
	}
	return f.Input.ReadAt(p, at)
}

// file is a file that is written, whose calls can fail.
type file struct {
	fsys.File
	fs *FS
}

// Write writes p at the end, or half of it if the call shall fail.
func (f *file) Write(p []byte) (n int, err error) {
	if err := f.fs.callHalf(func() { n, _ = f.File.Write(p[:len(p)/2]) }); err != nil {
		return n, err
	}
	return f.File.Write(p)
}

// WriteAt writes p at a place, or half of it if the call shall fail.
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

// Close closes the file, even if the call shall fail.
func (f *file) Close() error {
	if err := f.fs.call(); err != nil {
		f.File.Close() //nolint:errcheck // the made-up failure is the one to return
		return err
	}
	return f.File.Close()
}
