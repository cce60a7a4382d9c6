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

// here returns a text that differs between machines, between containers on one machine,
// and between the times before and after a restart. It leaves out what the system does not
// tell.
func here() string {
	host, _ := os.Hostname()
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	space, _ := os.Readlink("/proc/self/ns/pid")
	return fmt.Sprintf("%s %s %s", host, strings.TrimSpace(string(boot)), space)
}

// started returns the time at which a process began, as the system writes it; empty if it
// is not known.
func started(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the program's name before it may hold spaces
	fields := strings.Fields(rest)
	if len(fields) > 19 {
		return fields[19]
	}
	return ""
}

// dead reports whether the process has ended, and whether that can be known here.
func (p process) dead() (dead, known bool) {
	if p.PID <= 0 || p.Machine != here() {
		return false, false
	}
	if err := unix.Kill(p.PID, 0); errors.Is(err, unix.ESRCH) {
		return true, true
	}
	return p.Start != started(p.PID), true // another process may have its number by now
}
