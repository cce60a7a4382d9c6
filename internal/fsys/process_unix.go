//go:build !windows

package fsys

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// self describes this process.
func self() process { return process{os.Getpid(), started(os.Getpid()), here()} }

// here tells this machine from others, from what it was before it was started, and
// from containers on it. What the system does not say is left out.
func here() string {
	host, _ := os.Hostname()
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	space, _ := os.Readlink("/proc/self/ns/pid")
	return fmt.Sprintf("%s %s %s", host, strings.TrimSpace(string(boot)), space)
}

// started says when a process began; empty: not known.
func started(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name before may hold anything
	if fields := strings.Fields(rest); len(fields) > 19 {
		return fields[19]
	}
	return ""
}

// dead reports whether the process has ended, if that can be known here.
func (p process) dead() (dead, known bool) {
	if p.PID <= 0 || p.Machine != here() {
		return false, false
	}
	if err := unix.Kill(p.PID, 0); errors.Is(err, unix.ESRCH) {
		return true, true
	}
	return p.Start != started(p.PID), true // another may have its number
}
