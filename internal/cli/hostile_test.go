//go:build unix

package cli

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
)

// TestPrintable: nothing that a terminal obeys gets through.
func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain — text": "plain — text", "\x1b[31m": `\x1b[31m`, "a\tb\rc": `a\tb\rc`, "\u009b2J": `\u009b2J`,
		"\u202egnp.exe": `\u202egnp.exe`, "bad\xff": `bad\xff`, "\x7f\x00": `\x7f\x00`, "": "",
	} {
		if got := printable(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// strange makes what is no file in dir, by kind.
func strange(t *testing.T, dir string) map[string]string {
	t.Helper()
	paths := map[string]string{"pipe": filepath.Join(dir, "pipe"), "socket": filepath.Join(dir, "s"), "folder": filepath.Join(dir, "folder"), "loop": filepath.Join(dir, "loop"), "device": "/dev/zero"}
	if err := syscall.Mkfifo(paths["pipe"], 0o666); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", paths["socket"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	if err := os.Mkdir(paths["folder"], 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", paths["loop"]); err != nil {
		t.Fatal(err)
	}
	return paths
}

// TestNoFiles names pipes, sockets, devices, folders and links to themselves wherever
// a file is expected: one clear line at once, and never a wait.
func TestNoFiles(t *testing.T) {
	plain := testmodel.Llama{KVHeads: 2}.Write(t)
	ids := filepath.Join(t.TempDir(), "ids.json")
	if err := os.WriteFile(ids, []byte("[1,2,3,4]"), 0o666); err != nil {
		t.Fatal(err)
	}
	short, err := os.MkdirTemp("", "s") // a socket's name is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(short)
	for kind, path := range strange(t, short) {
		inModel := func(name string) string {
			dir := testmodel.Llama{KVHeads: 2, Shards: 2}.Write(t)
			os.Remove(filepath.Join(dir, name))
			if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			return dir
		}
		out := filepath.Join(t.TempDir(), "out")
		for _, args := range [][]string{
			{"convert", path, out},
			{"convert", "--config", path, plain, out},
			{"convert", "--stats", path, plain, out},
			{"convert", "--rope-select", path, plain, out},
			{"convert", "--calibrate", path, plain, out},
			{"convert", inModel(checkpoint.IndexFile), out},
			{"convert", inModel(checkpoint.ConfigFile), out},
			{"convert", inModel("model-00002-of-00002.safetensors"), out},
			{"calibrate", "--tokens", path, plain, out},
			{"calibrate", "--text", ids, inModel("tokenizer.json"), out},
			{"calibrate", "--tokens", ids, plain, path},
			{"calibrate", "--force", "--tokens", ids, plain, path},
			{"convert", "--force", plain, path},
			{"verify", "--tokens", path, plain, plain},
			{"inspect", "--plot", path + ".svg/x.svg", plain},
		} {
			tokens := strings.Contains(strings.Join(args, " "), "--tokens "+path) || strings.Contains(strings.Join(args, " "), "--calibrate")
			if kind == "pipe" && tokens {
				continue // may be one: TestPipes
			}
			if args[len(args)-1] == path && (kind == "loop" || kind == "folder" && args[0] == "convert") {
				continue // a link that leads nowhere, and with --force a folder, may be replaced
			}
			type result struct {
				status         int
				stdout, stderr string
			}
			done := make(chan result, 1)
			go func() {
				status, stdout, stderr := run(args...)
				done <- result{status, stdout, stderr}
			}()
			select {
			case r := <-done:
				if r.status == exitDone || r.stdout != "" || !strings.HasPrefix(r.stderr, "mha2mla: ") || strings.Count(r.stderr, "\n") > 2 {
					t.Errorf("%s: %v: exit status %d, %s%s", kind, args, r.status, r.stdout, r.stderr)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("%s: %v: does not return", kind, args)
			}
		}
	}
}

// TestPipes reads token ids and text from pipes, endless ones too.
func TestPipes(t *testing.T) {
	plain := testmodel.Llama{}.Write(t)
	feed := func(first, more string) string {
		path := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(path, 0o666); err != nil {
			t.Fatal(err)
		}
		go func() {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return
			}
			defer f.Close()
			for _, err = f.WriteString(first); err == nil && more != ""; { // until nobody reads on
				_, err = f.WriteString(more)
			}
		}()
		return path
	}
	for name, c := range map[string]struct {
		first, more string
		status      int
		want        string
	}{
		"ids":         {"[1,2,3,4]", "", exitDone, ""},
		"endless ids": {"[1", ",2,3", exitDone, ""}, // enough after so many
		"zeros":       {"\x00", "\x00", exitMalformed, "invalid JSON"},
	} {
		stats := filepath.Join(t.TempDir(), "stats")
		if status, _, stderr := run("calibrate", "-q", "--max-tokens", "64", "--tokens", feed(c.first, c.more), plain, stats); status != c.status || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit status %d, %s", name, status, stderr)
		}
	}
}

// TestNamesOnTerminals puts escape sequences wherever a name comes from a file, or a
// file's own name: none reaches the terminal.
func TestNamesOnTerminals(t *testing.T) {
	const evil = "\x1b]0;owned\x07\u009b2J\u202e"
	header := func(text string) string {
		path := filepath.Join(t.TempDir(), "x.safetensors")
		file := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
		if err := os.WriteFile(path, append(append(file, text...), make([]byte, 8)...), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	quoted, _ := json.Marshal(evil)
	raw := `"` + evil + `"`
	entry := `{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	dir := filepath.Join(t.TempDir(), "model"+evil)
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := (testmodel.Llama{KVHeads: 2}).WriteTo(dir); err != nil {
		t.Fatal(err)
	}
	config := func(change map[string]any) string { return testmodel.Llama{Config: change}.Write(t) }
	index := testmodel.Llama{Shards: 2}.Write(t)
	if err := os.WriteFile(filepath.Join(index, checkpoint.IndexFile), []byte(fmt.Sprintf(`{"weight_map":{"x":%s}}`, quoted)), 0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	for _, args := range [][]string{
		{"convert", header(`{` + string(quoted) + `:` + entry + `}`), out},
		{"convert", header(`{` + raw + `:` + entry + `}`), out},
		{"convert", header(`{"t":{"dtype":` + string(quoted) + `}}`), out},
		{"convert", header(`{"t":{` + string(quoted) + `:1,` + string(quoted) + `:1}}`), out},
		{"convert", header(`{"t":{"shape":[` + string(quoted) + `]}}`), out},
		{"convert", header(`{"a` + "\u202e" + `":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`), out},
		{"convert", index, out},
		{"convert", config(map[string]any{"model_type": evil}), out},
		{"convert", config(map[string]any{"architectures": []string{evil}}), out},
		{"convert", config(map[string]any{"hidden_act": evil}), out},
		{"convert", config(map[string]any{"hidden_size": evil}), out},
		{"convert", config(map[string]any{"rope_scaling": map[string]any{"type": evil}}), out},
		{"convert", config(map[string]any{"mha2mla": map[string]any{"svd_init_method": evil}}), out},
		{"convert", dir, out},
		{"convert", "--dry-run", dir, out + evil},
		{"convert", dir + "/none", out},
		{"convert", "--" + evil, dir, out},
		{"convert", "--dkv", evil, dir, out},
		{evil},
		{"inspect", dir},
		{"verify", "--tokens", dir, dir, dir},
		{"calibrate", "--tokens", dir + "/none", dir, out},
	} {
		_, stdout, stderr := run(args...)
		for _, text := range []string{stdout, stderr} {
			bad := func(r rune) bool { return r != '\n' && unicode.IsControl(r) || r == '\u202e' }
			if strings.ContainsFunc(text, bad) {
				t.Errorf("%q prints %q", args, text)
			}
		}
	}
}
