package fsys

import "golang.org/x/sys/unix"

// renameNew renames to a name that nothing has.
func renameNew(from int, name string, to int, as string) error {
	return unix.Renameat2(from, name, to, as, unix.RENAME_NOREPLACE)
}
