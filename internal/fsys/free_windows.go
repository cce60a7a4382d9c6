package fsys

import (
	"os"

	"golang.org/x/sys/windows"
)

// Free returns how many bytes the user may still write.
func (f *folder) Free() (int64, error) {
	name, err := windows.UTF16PtrFromString(f.path)
	if err != nil {
		return 0, err
	}
	var available uint64
	if err := windows.GetDiskFreeSpaceEx(name, &available, nil, nil); err != nil {
		return 0, &os.PathError{Op: "free space of", Path: f.path, Err: err}
	}
	return int64(min(available, 1<<62)), nil
}
