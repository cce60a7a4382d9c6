//go:build linux || darwin || freebsd

package fsys

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// Free returns how many bytes the user may still write.
func (f *folder) Free() (int64, error) {
	d, err := f.root.Open(".")
	if err != nil {
		return 0, f.named(err)
	}
	defer d.Close()
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(d.Fd()), &s); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: f.path, Err: err}
	}
	return int64(min(float64(s.Bavail)*float64(s.Bsize), math.MaxInt64/2)), nil
}
