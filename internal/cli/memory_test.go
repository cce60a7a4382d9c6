package cli

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"
)

// TestEnoughMemory: what no machine has is refused before it is asked for, and what
// the user says of the machine is believed.
func TestEnoughMemory(t *testing.T) {
	if err := enoughMemory(1); err != nil {
		t.Error(err)
	}
	err := enoughMemory(1 << 60)
	if runtime.GOOS != "linux" {
		return // where it is not known, nothing is refused
	}
	if !errors.As(err, new(*memoryError)) || exitStatus(failure{err}) != exitFailed || !strings.Contains(err.Error(), "1152921.50 TB") {
		t.Errorf("got %v", err)
	}
	var stderr bytes.Buffer
	newLogger(&stderr, logText).fail(failure{err}, exitFailed)
	if !strings.HasPrefix(stderr.String(), "mha2mla: this takes about ") || !strings.Contains(stderr.String(), "\nhint: ") {
		t.Errorf("prints %q", &stderr)
	}
	for memory, want := range map[int64]string{1 << 20: "--memory says", 1 << 60: "", 0: ""} {
		var stderr bytes.Buffer
		o := convertFlags{memory: memory}
		if err := o.checkMemory(&ui{log: newLogger(&stderr, logText)}, 1<<50); (err == nil) != (memory > 0) {
			t.Errorf("%d: %v", memory, err)
		}
		if got := stderr.String(); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%d: prints %q", memory, got)
		}
	}
}
