package fsys

import (
	"io/fs"

	"golang.org/x/sys/windows"
)

// nonblock is no flag here: on Windows, no name of a file leads to a pipe.
const nonblock = 0

// owned accepts every file: on Windows, the folder decides who may put files there.
func owned(string, fs.FileInfo) error { return nil }

// sync does nothing: Windows has no such call.
func (f *folder) sync() error { return nil }

// unsupported reports whether err means that a file system does not support a call. On
// Windows no error is taken to mean that.
func unsupported(error) bool { return false }

// move gives a file or folder a name in another folder. It fails if something has that
// name already.
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
