//go:build !windows

package fsys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// nonblock opens a pipe without waiting for its other end.
const nonblock = unix.O_NONBLOCK

// owned is an error if somebody else put there what info describes. A file of several
// names is nothing that this program makes: another of them may be anything.
func owned(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return nil
	case int(stat.Uid) != os.Geteuid():
		return &UnsafeError{path, fmt.Sprintf("of another user (%d)", stat.Uid)}
	case info.Mode().IsRegular() && stat.Nlink > 1:
		return &UnsafeError{path, "a file of several names (hard links)"}
	}
	return nil
}

// sync puts the names in the folder on the disk.
func (f *folder) sync() error {
	d, err := f.root.Open(".")
	if err != nil {
		return f.named(err)
	}
	return errors.Join(f.named(d.Sync()), d.Close())
}

// unsupported reports whether err means that a file system has no such call.
func unsupported(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS)
}

// move gives something a name in another folder that nothing has. A second name that
// takes the place of the first is the oldest way to say so; folders have no second
// names, but one is never renamed over another that is not empty.
func move(from *folder, name string, to *folder, as string) error {
	source, err := from.root.Open(".")
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := to.root.Open(".")
	if err != nil {
		return err
	}
	defer target.Close()
	a, b := int(source.Fd()), int(target.Fd())
	if err := renameNew(a, name, b, as); !unsupported(err) {
		return err
	}
	info, err := from.root.Lstat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		switch err := unix.Linkat(a, name, b, as, 0); {
		case err == nil:
			return unix.Unlinkat(a, name, 0)
		case !unsupported(err) && !errors.Is(err, unix.EPERM):
			return err
		}
	}
	if taken, err := there(to.root.Lstat(as)); err != nil {
		return err
	} else if taken {
		return unix.EEXIST
	}
	return unix.Renameat(a, name, b, as)
}
