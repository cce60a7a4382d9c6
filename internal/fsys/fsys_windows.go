package fsys

import (
	"io/fs"

	"golang.org/x/sys/windows"
)

// nonblock is nothing: pipes have names of their own here.
const nonblock = 0

// owned is no error: whose a file is, its folder decides here.
func owned(string, fs.FileInfo) error { return nil }

// sync does nothing: Windows has no such call.
func (f *folder) sync() error { return nil }

// unsupported reports whether err means that a file system has no such call.
func unsupported(error) bool { return false }

// move gives something a name in another folder that nothing has.
func move(from *folder, name string, to *folder, as string) error {
	old, err := windows.UTF16PtrFromString(from.in(name))
	if err != nil {
		return err
	}
	path, err := windows.UTF16PtrFromString(to.in(as))
	if err != nil {
		return err
	}
	return windows.MoveFileEx(old, path, 0)
}
