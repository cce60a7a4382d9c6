//go:build !linux && !darwin && !freebsd && !windows

package fsys

import "errors"

// Free returns errors.ErrUnsupported, because the program does not know how to ask this
// system.
func (f *folder) Free() (int64, error) { return 0, errors.ErrUnsupported }
