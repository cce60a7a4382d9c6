package fsys

import "golang.org/x/sys/unix"

// renameNew renames a file or folder, and fails if something has the new name already.
func renameNew(from int, name string, to int, as string) error {
	return unix.Renameat2(from, name, to, as, unix.RENAME_NOREPLACE)
}
