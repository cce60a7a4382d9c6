package fsys

import (
	"io"
	"os"
	"strconv"
	"strings"
)

// process is one process of one machine, as the file of a lock says it.
type process struct {
	PID     int
	Start   string // when it began, in a form of the system's own; empty: not known
	Machine string // since it started, and the part of it that counts processes
}

// maxProcess is the size of the longest description.
const maxProcess = 1024

// write puts the description in the place of another. It tells people who has a lock,
// and where nothing else does, other processes.
func (p process) write(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(p.PID)+" "+p.Start+" "+p.Machine+"\n"), 0)
	return err
}

// readProcess reads a description; what is none is the zero process.
func readProcess(f *os.File) process {
	text, _ := io.ReadAll(io.NewSectionReader(f, 0, maxProcess))
	words := strings.SplitN(strings.TrimSuffix(string(text), "\n"), " ", 3)
	if len(words) != 3 {
		return process{}
	}
	pid, _ := strconv.Atoi(words[0])
	return process{pid, words[1], words[2]}
}

// machine names the machine for people.
func (p process) machine() string {
	name, _, _ := strings.Cut(p.Machine, " ")
	if name == "" {
		return "another machine"
	}
	return name
}
