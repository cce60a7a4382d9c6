package cli

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/job"
)

// peakFile names, in the environment, the file in which mha2mla-peak leaves its peak memory.
const peakFile = "MHA2MLA_PEAK_FILE"

// mainWithPeak is the program, and leaves its own account of itself, /proc/self/status, where
// peakFile says. The resources that the system accounts to a finished process do not serve: their
// peak begins with that of the process that started it, here a test binary which may be larger.
func mainWithPeak() int {
	code := Main()
	status, err := os.ReadFile("/proc/self/status")
	if err == nil {
		err = os.WriteFile(os.Getenv(peakFile), status, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// TestTooLittleMemory: that a machine has too little memory is one line and a hint, and no
// kind of its own.
func TestTooLittleMemory(t *testing.T) {
	err := failure{&job.MemoryError{Need: 1 << 60, Free: 1}}
	if status := exitStatus(err); status != exitFailed {
		t.Errorf("exit status %d, want %d", status, exitFailed)
	}
	var stderr bytes.Buffer
	newLogger(&stderr, logText).fail(err, exitFailed)
	want := "mha2mla: this takes about 1152921.50 TB of memory, one layer at a time, and the machine has 1 B free\nhint: free some"
	if !strings.HasPrefix(stderr.String(), want) {
		t.Errorf("prints %q, want %q", &stderr, want)
	}
}
