//go:build !linux && !windows

package fsys

import "golang.org/x/sys/unix"

// renameNew is not supported, because other systems have no such call or another one.
func renameNew(int, string, int, string) error { return unix.ENOSYS }
