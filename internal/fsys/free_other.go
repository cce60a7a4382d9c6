//go:build !linux && !darwin && !freebsd && !windows

package fsys

import "errors"

// free does not know.
func free(string) (int64, error) { return 0, errors.ErrUnsupported }
