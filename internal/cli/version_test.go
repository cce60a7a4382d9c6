package cli

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// TestBuild: a program of no version, as tests are, is told from others by its content.
func TestBuild(t *testing.T) {
	if version() != unversioned {
		t.Fatalf("the test has version %s", version())
	}
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(build(context.Background())); got != checkpoint.DigestBytes(content) {
		t.Errorf("build %q", got)
	}
}
