package fsys

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// TestLock: one has a lock at a time, a dead one's is free, and it leaves no file.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := OS{}.Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	var held *HeldError
	if _, err := (OS{}).Lock(path); !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Errorf("held: %v", err)
	}
	if err := first.Drop(); err != nil { // as if the process died
		t.Fatal(err)
	}
	second, err := OS{}.Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the file of the lock is still there")
	}
}

// TestLockContended has many take a lock that comes and goes with its file.
func TestLockContended(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var holders, taken atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 500 {
				l, err := OS{}.Lock(path)
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
		if err := RemoveAll(OS{}, filepath.Join(dir, "a")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(other, "mine")); err != nil {
		t.Error(err)
	}
}

// TestFree: there is some room, and it is a number.
func TestFree(t *testing.T) {
	if n, err := (OS{}).Free(t.TempDir()); err != nil && !errors.Is(err, errors.ErrUnsupported) || err == nil && n <= 0 {
		t.Errorf("%d, %v", n, err)
	}
}
