package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// eachCommand calls f for every command of the program.
func eachCommand(f func(cmd *cobra.Command)) {
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		f(cmd)
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(newRoot())
}

// TestHelp: every command says how it is called before all else, what it does with an example, all
// of its flags in groups, and at last its exit status, in lines that fit a terminal.
func TestHelp(t *testing.T) {
	eachCommand(func(cmd *cobra.Command) {
		var text strings.Builder
		printHelp(&text, cmd)
		help := text.String()
		if cmd.Short == "" || cmd.Long == "" || !strings.Contains(help, "\nEXAMPLES\n  mha2mla") {
			t.Errorf("%s: no text or no example", cmd.CommandPath())
		}
		if !strings.HasPrefix(help, "USAGE\n  "+cmd.CommandPath()) || !strings.HasSuffix(help, exitHelp) {
			t.Errorf("%s: help begins with %.40q and ends with %q", cmd.CommandPath(), help, help[len(help)-40:])
		}
		if names := ungrouped(cmd); len(names) > 0 {
			t.Errorf("%s: flags in no group: %v", cmd.CommandPath(), names)
		}
		if cmd.Parent() != nil && cmd.Parent().Name() == "completion" {
			return // the text is cobra's
		}
		for _, line := range strings.Split(help, "\n") {
			if utf8.RuneCountInString(line) > columns {
				t.Errorf("%s: %d columns: %s", cmd.CommandPath(), utf8.RuneCountInString(line), line)
			}
		}
	})
	for _, args := range [][]string{{}, {"--help"}, {"convert", "--help"}, {"help", "verify"}, {"--version"}} {
		if status, stdout, stderr := run(args...); status != exitDone || stdout == "" || stderr != "" {
			t.Errorf("%v: exit status %d, %q", args, status, stderr)
		}
	}
}

// TestVerbose: -v asks for more, and for nothing else.
func TestVerbose(t *testing.T) {
	eachCommand(func(cmd *cobra.Command) {
		cmd.InitDefaultVersionFlag()
		if f := cmd.Flags().ShorthandLookup("v"); f != nil && f.Name != "verbose" {
			t.Errorf("%s: -v is --%s", cmd.CommandPath(), f.Name)
		}
	})
}

// TestExamples runs every example of the help as a shell would, beside a model and texts of the
// names that they use. Sizes become those of the model, and what follows a pipe is left out.
func TestExamples(t *testing.T) {
	if testing.Short() {
		t.Skip("converts a dozen times")
	}
	stories, err := filepath.Abs("../../testdata/stories260k")
	if err != nil {
		t.Fatal(err)
	}
	llama, err := filepath.Abs("../llamacpp/testdata/llama.f16.gguf")
	if err != nil {
		t.Fatal(err)
	}
	made := t.TempDir()
	in := func(name string) string { return filepath.Join(made, name) }
	must := func(args ...string) {
		t.Helper()
		if status, _, stderr := run(args...); status != exitDone {
			t.Fatalf("%v: exit status %d, %s", args, status, stderr)
		}
	}
	ids := in("ids.json")
	few, err := json.Marshal(firstIDs(t, filepath.Join(stories, "tinystories.ids.json"), 1024))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ids, few, 0o666); err != nil {
		t.Fatal(err)
	}
	must("calibrate", "-q", "--tokens", ids, "--max-tokens", "512", "--window", "128", stories, in("first.stats"))
	must("calibrate", "-q", "--tokens", ids, "--skip-tokens", "512", "--max-tokens", "512", "--window", "128", stories, in("second.stats"))
	must("convert", "-q", "--calibrate", "none", "--dkv", "6", "--rope-dims", "8", stories, in("converted"))
	text := []byte(strings.Repeat("Once upon a time there was a little girl who liked to play in the park. ", 40))
	if err := os.WriteFile(in("corpus.txt"), text, 0o666); err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]string{
		"model": stories, "model.gguf": llama, "model.stats": in("first.stats"), "in.safetensors": filepath.Join(stories, "model.safetensors"), "in.config.json": filepath.Join(stories, "config.json"),
	} {
		if err := os.Symlink(from, in(name)); err != nil {
			t.Fatal(err)
		}
	}
	fitting := strings.NewReplacer("--cache 576", "--cache 32", "--dkv 64", "--dkv 6", "--dkv 16", "--dkv 6", "ids.npy", "ids.json", "--max-kl 0.1", "--max-kl 2", "--heal auto", "--heal 4")
	eachCommand(func(cmd *cobra.Command) {
		for _, line := range strings.Split(cmd.Example, "\n") {
			if strings.Contains(line, "completion") {
				continue // of cobra
			}
			line, _, _ = strings.Cut(strings.TrimSpace(line), "  ") // before what is said of it
			line, _, _ = strings.Cut(line, "|")
			line, _, _ = strings.Cut(line, " >")
			args := strings.Fields(fitting.Replace(line))
			t.Run(strings.Join(args[1:], " "), func(t *testing.T) { runExample(t, made, args[1:]) })
		}
	})
}

// firstIDs returns the first token ids of a file.
func firstIDs(t *testing.T, path string, n int) []int {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var ids []int
	if err := json.Unmarshal(text, &ids); err != nil {
		t.Fatal(err)
	}
	return ids[:n]
}

// before returns what must have been done in a folder for an example of a conversion in parts.
func before(args []string) []string {
	stages := []string{"plan --calibrate none --cache 32 model converted", "part search converted", "part convert 0/1 converted"}
	switch {
	case args[0] == "part" && args[1] == "search":
		return stages[:1]
	case args[0] == "part":
		return stages[:2]
	case args[0] == "finalize":
		return stages
	default:
		return nil
	}
}

// runExample runs the program on args in a folder of its own, in which there is what is in another,
// but for what the example makes.
func runExample(t *testing.T, made string, args []string) {
	dir := t.TempDir()
	t.Chdir(dir)
	entries, err := os.ReadDir(made)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		makes := e.Name() == strings.TrimSuffix(args[len(args)-1], "/") && args[0] != "verify" && args[0] != "check" && args[0] != "inspect"
		if !makes {
			if err := os.Symlink(filepath.Join(made, e.Name()), e.Name()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, stage := range before(args) {
		if status, _, stderr := run(strings.Fields(stage)...); status != exitDone {
			t.Fatalf("%s: exit status %d\n%s", stage, status, stderr)
		}
	}
	if status, _, stderr := run(args...); status != exitDone {
		t.Errorf("exit status %d\n%s", status, stderr)
	}
}

// ungrouped returns the flags of a command that are in no group.
func ungrouped(cmd *cobra.Command) (names []string) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !slices.ContainsFunc(flagGroups(), func(g flagGroup) bool { return slices.Contains(g.flags, f.Name) }) {
			names = append(names, f.Name)
		}
	})
	return names
}
