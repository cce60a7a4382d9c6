package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWrite: every command has a page with its options, its exit statuses and an
// example as a block.
func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man")
	if err := write([]string{dir}); err != nil {
		t.Fatal(err)
	}
	for page, command := range map[string]string{
		"mha2mla": "verify model/", "mha2mla-convert": "convert --dkv 64", "mha2mla-inspect": "inspect --plot",
		"mha2mla-calibrate": "calibrate --text", "mha2mla-verify": "verify model/", "mha2mla-check": "check --target vllm",
		"mha2mla-completion-zsh": "completion zsh",
	} {
		text, err := os.ReadFile(filepath.Join(dir, page+".1"))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{".SH EXIT STATUS", ".SH OPTIONS", ".EX\nmha2mla "} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s: no %q", page, want)
			}
		}
		if !strings.Contains(strings.ReplaceAll(string(text), `\-`, "-"), command) {
			t.Errorf("%s: no %q", page, command)
		}
	}
	if err := write(nil); err == nil {
		t.Error("wrote pages to nowhere")
	}
}
