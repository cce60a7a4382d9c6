package fsys

import (
	"io"
	"os"
	"strconv"
	"strings"
)

// process describes one process of one machine, as the file of a lock does.
type process struct {
	PID     int
	Start   string // when it began, as the system writes it; empty if not known
	Machine string // the machine since its last start, and the container, as here returns them
}

// maxProcess is the size in bytes of the longest description.
const maxProcess = 1024

// write replaces the content of a file by the description. It tells people which process
// holds a lock. Where the file system has no locks, it tells other processes, too.
func (p process) write(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(p.PID)+" "+p.Start+" "+p.Machine+"\n"), 0)
	return err
}

// readProcess reads a description. It returns the zero process for a file that holds none.
func readProcess(f *os.File) process {
	text, _ := io.ReadAll(io.NewSectionReader(f, 0, maxProcess))
	words := strings.SplitN(strings.TrimSuffix(string(text), "\n"), " ", 3)
	if len(words) != 3 {
		return process{}
	}
	pid, _ := strconv.Atoi(words[0])
	return process{pid, words[1], words[2]}
}

// machine returns the name of the machine that people know.
func (p process) machine() string {
	name, _, _ := strings.Cut(p.Machine, " ")
	if name == "" {
		return "another machine"
	}
	return name
}
