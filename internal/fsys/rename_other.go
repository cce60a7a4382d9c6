//go:build !linux && !windows

package fsys

import "golang.org/x/sys/unix"

// renameNew is the call that other systems have not, or call otherwise.
func renameNew(int, string, int, string) error { return unix.ENOSYS }
