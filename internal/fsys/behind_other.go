//go:build !linux

package fsys

// WriteBehind does nothing where the system takes no such hint.
func WriteBehind(File, int64, int64) {}
