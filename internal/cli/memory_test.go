package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/job"
)

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
