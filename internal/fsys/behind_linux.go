package fsys

import (
	"os"

	"golang.org/x/sys/unix"
)

// WriteBehind asks the system to begin to put n bytes of a file, from offset on, on the
// disk. The file's Sync then has less to wait for. Nothing depends on this hint.
func WriteBehind(f File, offset, n int64) {
	if file, ok := f.(*os.File); ok {
		unix.SyncFileRange(int(file.Fd()), offset, n, unix.SYNC_FILE_RANGE_WRITE) //nolint:errcheck // it is only a hint
	}
}
