//go:build !linux && !darwin && !freebsd && !windows

package fsys

import "errors"

// Free does not know.
func (f *folder) Free() (int64, error) { return 0, errors.ErrUnsupported }
