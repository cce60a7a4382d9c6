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

// owned returns an error if another user owns the file or folder that info describes. It
// refuses files with several names as well: this program never makes such files, and
// another name may be that of a file that must not be changed.
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

// unsupported reports whether err means that a file system does not support a call.
func unsupported(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS)
}

// move gives a file or folder a name in another folder. It fails if something has that name
// already. Where the system has no such call, move gives a file a second name, which fails
// if the name is taken, and removes the first. Folders cannot have two names, so for them
// move looks whether the name is taken and then renames; no system renames a folder over
// another that is not empty.
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
	err = renameNew(a, name, b, as)
	if !unsupported(err) {
		return err
	}
	info, err := from.root.Lstat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		err := unix.Linkat(a, name, b, as, 0)
		switch {
		case err == nil:
			return unix.Unlinkat(a, name, 0)
		case !unsupported(err) && !errors.Is(err, unix.EPERM):
			return err
		}
	}
	taken, err := there(to.root.Lstat(as))
	if err != nil {
		return err
	}
	if taken {
		return unix.EEXIST
	}
	return unix.Renameat(a, name, b, as)
}
