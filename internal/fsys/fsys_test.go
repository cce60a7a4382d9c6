package fsys

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// folderAt opens a folder until the test ends.
func folderAt(t *testing.T, path string) Folder {
	t.Helper()
	f, err := OS{}.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestLock: one has a lock at a time, a dead one's is free, and it leaves no file.
func TestLock(t *testing.T) {
	dir := folderAt(t, t.TempDir())
	first, err := dir.Lock("lock")
	if err != nil {
		t.Fatal(err)
	}
	var held *HeldError
	if _, err := dir.Lock("lock"); !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Errorf("got %v, want a HeldError of this process", err)
	}
	if err := first.Drop(); err != nil { // as if the process died
		t.Fatal(err)
	}
	second, err := dir.Lock("lock")
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Stat("lock"); err == nil {
		t.Error("the file of the lock is still there")
	}
}

// TestLockContended has many take a lock that comes and goes with its file.
func TestLockContended(t *testing.T) {
	dir := folderAt(t, t.TempDir())
	var holders, taken atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 500 {
				l, err := dir.Lock("lock")
				if errors.As(err, new(*HeldError)) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if holders.Add(1) > 1 {
					t.Error("two have the lock")
				}
				taken.Add(1)
				holders.Add(-1)
				if err := l.Release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if taken.Load() == 0 {
		t.Error("nobody got the lock")
	}
}

// TestRemoveAll removes a tree, and of a link only the link.
func TestRemoveAll(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	open := folderAt(t, dir)
	deep := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(deep, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(other, "mine"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, filepath.Join(deep, "link")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing
		if err := RemoveAll(open, "a"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(other, "mine")); err != nil {
		t.Error(err)
	}
}

// TestFree: there is some room, and it is a number.
func TestFree(t *testing.T) {
	if n, err := folderAt(t, t.TempDir()).Free(); err != nil && !errors.Is(err, errors.ErrUnsupported) || err == nil && n <= 0 {
		t.Errorf("got %d, %v, want a positive number of bytes", n, err)
	}
}

// TestMove: nothing that is there is replaced, be it a link to nothing.
func TestMove(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	a, b := folderAt(t, from), folderAt(t, to)
	for _, name := range []string{"file", "taken", "dangling"} {
		if err := WriteFile(a, name, []byte("new")); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(a.Mkdir("folder", true), a.Mkdir("full", true), b.Mkdir("full", true), os.WriteFile(filepath.Join(to, "full", "x"), nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(to, "taken"), []byte("old"), 0o666), os.Symlink("nothing", filepath.Join(to, "dangling"))); err != nil {
		t.Fatal(err)
	}
	for name, free := range map[string]bool{"file": true, "folder": true, "taken": false, "dangling": false, "full": false} {
		if err := a.Move(name, b, name); free != (err == nil) || err != nil && !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: got %v, want fs.ErrExist unless the name is free (%v)", name, err, free)
		}
		if there, err := Exists(a, name); there == free || err != nil {
			t.Errorf("%s: still there: %v, %v", name, there, err)
		}
	}
	if text, _ := os.ReadFile(filepath.Join(to, "taken")); string(text) != "old" {
		t.Errorf("the file was replaced by %q, want old", text)
	}
}

// TestUnsafe: nothing is entered, opened or locked but a real folder or file of one
// name.
func TestUnsafe(t *testing.T) {
	path := t.TempDir()
	if err := errors.Join(
		os.Mkdir(filepath.Join(path, "folder"), 0o777), os.WriteFile(filepath.Join(path, "file"), []byte("mine"), 0o666),
		os.Symlink("folder", filepath.Join(path, "to-folder")), os.Symlink("file", filepath.Join(path, "to-file")),
		os.Symlink("nothing", filepath.Join(path, "to-nothing")), os.WriteFile(filepath.Join(path, "twice"), []byte("mine"), 0o666),
		os.Link(filepath.Join(path, "twice"), filepath.Join(path, "again")),
	); err != nil {
		t.Fatal(err)
	}
	dir := folderAt(t, path)
	for _, name := range []string{"file", "to-folder", "to-file", "to-nothing", "again"} {
		if _, err := dir.Enter(name); !errors.As(err, new(*UnsafeError)) {
			t.Errorf("entering %s: got %v, want an UnsafeError", name, err)
		}
	}
	for _, name := range []string{"folder", "to-folder", "to-file", "to-nothing", "again"} {
		_, opening := dir.Open(name)
		_, appending := dir.Append(name)
		_, locking := dir.Lock(name)
		for _, err := range []error{opening, appending, locking} {
			if !errors.As(err, new(*UnsafeError)) {
				t.Errorf("opening %s: got %v, want an UnsafeError", name, err)
			}
		}
	}
	if _, err := ReadFile(dir, "file", 3); !errors.As(err, new(*UnsafeError)) {
		t.Errorf("read more than there should be: %v", err)
	}
	for _, name := range []string{"file", "twice"} {
		if text, _ := os.ReadFile(filepath.Join(path, name)); string(text) != "mine" {
			t.Errorf("%s holds %q, want mine", name, text)
		}
	}
}
