//go:build !linux

package fsys

// WriteBehind does nothing, because this system takes no such hint.
func WriteBehind(File, int64, int64) {}
