//go:build linux || darwin || freebsd

package fsys

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// free returns the bytes that the user may still write below a folder.
func free(folder string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: folder, Err: err}
	}
	return int64(min(float64(s.Bavail)*float64(s.Bsize), math.MaxInt64/2)), nil
}
