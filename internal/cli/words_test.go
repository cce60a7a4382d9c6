package cli

import (
	"os"
	"regexp"
	"testing"

	"github.com/spf13/pflag"

	"github.com/mha2mla/mha2mla/internal/option"
)

// TestOptionsHaveFlags: every option that packages speak of is a flag of some command.
func TestOptionsHaveFlags(t *testing.T) {
	flags := make(map[string]bool)
	for _, cmd := range newRoot().Commands() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { flags["--"+f.Name] = true })
	}
	source, err := os.ReadFile("../option/option.go")
	if err != nil {
		t.Fatal(err)
	}
	options := regexp.MustCompile(`Option = "([^"]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(options) == 0 {
		t.Error("no options are found")
	}
	for _, o := range options {
		if word := flagWords(option.Option(o[1]).Alone()); !flags[word] {
			t.Errorf("no command has the flag %s", word)
		}
	}
	if got := flagWords(option.Cache.Is(24)); got != "--cache 24" {
		t.Errorf("a setting is written %q", got)
	}
}
