//go:build !windows

package fsys

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// TestLockWithout: where a file system locks nothing, that the file of the lock is
// there is the lock, until the process in it is dead.
func TestLockWithout(t *testing.T) {
	dir := folderAt(t, t.TempDir()).(*folder)
	living, dead, elsewhere, reused := self(), self(), self(), self()
	living.PID, living.Start = os.Getppid(), started(os.Getppid())
	dead.PID = 1 << 30
	reused.Start += "0"
	elsewhere.Machine = "moon"
	for name, c := range map[string]struct {
		holder  process
		free    bool
		unknown string
	}{
		"living": {holder: living}, "dead": {holder: dead, free: true}, "number of another": {holder: reused, free: true},
		"elsewhere": {holder: elsewhere, unknown: "moon"}, "nobody": {unknown: "another machine"},
	} {
		l, fresh, err := dir.lockFile("lock")
		if err != nil || !fresh {
			t.Fatal(fresh, err)
		}
		if err := c.holder.write(l.f); err != nil {
			t.Fatal(err)
		}
		err = dir.vacate(l)
		var held *HeldError
		switch {
		case c.free && err != nil:
			t.Errorf("%s: got %v, want the lock", name, err)
		case !c.free && (!errors.As(err, &held) || held.Unknown != c.unknown):
			t.Errorf("%s: got %v, want a HeldError of machine %q", name, err, c.unknown)
		}
		if there, _ := Exists(dir, "lock"); there == c.free {
			t.Errorf("%s: the file is there: %v", name, there)
		}
		l.f.Close()
		RemoveAll(dir, "lock")
	}
}

// TestUnsupported: what a file system has no call for is not taken for a failure.
func TestUnsupported(t *testing.T) {
	for err, want := range map[error]bool{syscall.EINVAL: true, syscall.EOPNOTSUPP: true, syscall.ENOSYS: true, syscall.EIO: false, syscall.EROFS: false, nil: false} {
		if unsupported(err) != want {
			t.Error(err, !want)
		}
	}
}
