//go:build !windows

package torture

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
)

// flags of all conversions by the program here: nothing is left to be searched for.
var flags = []string{"convert", "-q", "--calibrate", "none", "--rope-dims", "16", "--rope-theta", "1000"}

// words are the arguments of a conversion.
func words(more ...string) []string { return append(append([]string(nil), flags...), more...) }

// process is a conversion that takes a moment, to be signalled.
type process struct {
	name    string
	out     string
	args    []string
	replace bool
}

var processes = []process{
	{"shards", "out", []string{"--max-shard-size", "1MB"}, false},
	{"shards, replaced", "out", []string{"--max-shard-size", "1MB", "--force"}, true},
	{"file", "out.safetensors", []string{"--force"}, false},
	{"file, replaced", "out.safetensors", []string{"--force"}, true},
}

// TestSignals signals conversions at random moments.
func TestSignals(t *testing.T) {
	in := testmodel.Llama{Hidden: 256, Layers: 8, Heads: 8, KVHeads: 4, HeadDim: 32, Intermediate: 512}.Write(t)
	rounds, chosen, signals := 8, processes, []syscall.Signal{syscall.SIGKILL, syscall.SIGINT, syscall.SIGTERM}
	if !long {
		rounds, chosen, signals = 1, processes[1:3], signals[:2]
	}
	for _, p := range chosen {
		before, clean := tempDir(t), tempDir(t)
		if p.replace {
			must(t, words("--dkv", "8", in, filepath.Join(before, p.out))...)
		}
		if err := os.CopyFS(filepath.Join(clean, "x"), os.DirFS(before)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		must(t, words(append(p.args, in, filepath.Join(clean, "x", p.out))...)...)
		took := time.Since(start)
		s := &signalled{process: p, in: in, before: before, old: contents(t, before), new: contents(t, filepath.Join(clean, "x"))}
		for range rounds {
			for _, sig := range signals {
				for _, resume := range []bool{false, true} {
					s.try(t, sig, time.Duration(rand.Int64N(int64(took))), resume)
				}
			}
		}
	}
}

// signalled is a conversion with what must be found.
type signalled struct {
	process
	in, before string
	old, new   map[string]string
}

// try signals a conversion after some time, looks at what is there, and does it
// again.
func (s *signalled) try(t *testing.T, sig syscall.Signal, after time.Duration, resume bool) {
	t.Helper()
	dir := filepath.Join(tempDir(t), "x")
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, os.DirFS(s.before)); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, s.out)
	args := words(s.args...)
	if resume {
		args = append(args, "--resume")
	}
	var stderr bytes.Buffer
	cmd := program(append(args, s.in, out)...)
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after)
	cmd.Process.Signal(sig) //nolint:errcheck // it may be done
	err := cmd.Wait()
	what := fmt.Sprintf("%s, %v after %v, resume %v", s.name, sig, after, resume)
	if strings.Contains(stderr.String(), "goroutine") {
		t.Errorf("%s: %s", what, &stderr)
	}
	if err == nil {
		tried.add("signals that came too late", 1)
	} else {
		tried.add(fmt.Sprintf("signals, %v: %s", sig, s.name), 1)
	}
	now := contents(t, dir)
	if err := generation(now, s.old, s.new); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if sig != syscall.SIGKILL && !resume {
		if left := leaked(t, dir); len(left) > 0 && !died(cmd) {
			t.Errorf("%s: leaked %v", what, left)
		}
		if same(now, s.old) != nil && same(now, s.new) != nil {
			t.Errorf("%s: lost", what)
		}
	}
	if err == nil && !s.replace {
		return
	}
	args = append(words(s.args...), "--resume", s.in, out)
	must(t, args...)
	tried.add("signalled runs resumed", 1)
	if err := same(contents(t, dir), s.new); err != nil {
		t.Errorf("%s: again: %v", what, err)
	}
	if left := leaked(t, dir); len(left) > 0 {
		t.Errorf("%s: again: leaked %v", what, left)
	}
}

// died reports whether a process was ended by a signal: it came before the program
// listened to any.
func died(cmd *exec.Cmd) bool {
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}

// TestTwoAtOnce: of two conversions to one output, the second is refused and told
// whose it is.
func TestTwoAtOnce(t *testing.T) {
	in := testmodel.Llama{Hidden: 256, Layers: 4, Heads: 8, KVHeads: 4, HeadDim: 32, Intermediate: 512}.Write(t)
	for _, name := range []string{"out", "out.safetensors"} {
		out := filepath.Join(t.TempDir(), name)
		first := program(words(in, out)...)
		if err := first.Start(); err != nil {
			t.Fatal(err)
		}
		lock := filepath.Join(filepath.Dir(out), "."+name+".mha2mla-tmp", "new")
		for range 1000 {
			if _, err := os.Stat(lock); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		first.Process.Signal(syscall.SIGSTOP) //nolint:errcheck // found out below
		for _, args := range [][]string{words(in, out), words("--force", in, out), words("--resume", in, out)} {
			status, stderr := fails(t, args...)
			want := fmt.Sprintf("mha2mla: %q is being written by process %d\nhint: ", out, first.Process.Pid)
			if status != 1 || !strings.HasPrefix(stderr, want) {
				t.Errorf("%s: exit status %d: %s", name, status, stderr)
			}
			tried.add("conversions to a busy output", 1)
		}
		first.Process.Signal(syscall.SIGCONT) //nolint:errcheck
		if err := first.Wait(); err != nil {
			t.Errorf("%s: the first: %v", name, err)
		}
		must(t, "verify", "-q", "--integrity", out)
		if left := leaked(t, filepath.Dir(out)); len(left) > 0 {
			t.Errorf("%s: leaked %v", name, left)
		}
	}
}

// fails runs mha2mla, which must fail, and returns its exit status and what it
// says.
func fails(t *testing.T, args ...string) (int, string) {
	t.Helper()
	return failing(t, program(args...))
}

func failing(t *testing.T, cmd *exec.Cmd) (int, string) {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) {
		t.Fatalf("%v: %v: %s", cmd.Args, err, &stderr)
	}
	return exit.ExitCode(), stderr.String()
}

// shell runs mha2mla after a line of shell.
func shell(line string, args ...string) *exec.Cmd {
	cmd := program(args...)
	cmd.Args = append([]string{"sh", "-c", line + `; exec "$0" "$@"`, cmd.Path}, args...)
	cmd.Path, _ = exec.LookPath("sh")
	return cmd
}

// TestModes: modes follow umask.
func TestModes(t *testing.T) {
	in := testmodel.Llama{}.Write(t)
	for mask, modes := range map[string][2]os.FileMode{"022": {0o755, 0o644}, "077": {0o700, 0o600}, "002": {0o775, 0o664}} {
		out := filepath.Join(t.TempDir(), "out")
		if text, err := shell("umask "+mask, words(in, out)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		info, err := os.Stat(out)
		if err != nil || info.Mode().Perm() != modes[0] {
			t.Errorf("umask %s: folder %v, %v", mask, info.Mode(), err)
		}
		entries, _ := os.ReadDir(out)
		for _, e := range entries {
			if info, err := e.Info(); err != nil || info.Mode().Perm() != modes[1] {
				t.Errorf("umask %s: %s %v, %v", mask, e.Name(), info.Mode(), err)
			}
		}
	}
}

// TestSizeLimit: a file that may not grow so large is an error like a full disk.
func TestSizeLimit(t *testing.T) {
	in := testmodel.Llama{Hidden: 256}.Write(t)
	dir := t.TempDir()
	for _, name := range []string{"out", "out.safetensors"} {
		status, stderr := failing(t, shell("ulimit -f 500", words(in, filepath.Join(dir, name))...))
		if status != 6 || !strings.Contains(stderr, "file too large") || strings.Count(stderr, "\n") != 2 {
			t.Errorf("exit status %d: %s", status, stderr)
		}
		tried.add("file size limits", 1)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("left %v", entries)
	}
}
