package fsys

import (
	"os"

	"golang.org/x/sys/unix"
)

// WriteBehind asks the system to begin putting a part of a file on the disk, so that
// less is left to wait for when it is synced. It is a hint: nothing depends on it.
func WriteBehind(f File, offset, n int64) {
	if file, ok := f.(*os.File); ok {
		unix.SyncFileRange(int(file.Fd()), offset, n, unix.SYNC_FILE_RANGE_WRITE) //nolint:errcheck // a hint
	}
}
