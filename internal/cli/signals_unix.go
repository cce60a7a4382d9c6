//go:build !windows

package cli

import (
	"os/signal"
	"syscall"
)

// ignoreSizeLimit has a file that grows beyond what the user may write fail to be
// written, as on a full disk, instead of crash the program.
func ignoreSizeLimit() { signal.Ignore(syscall.SIGXFSZ) }
