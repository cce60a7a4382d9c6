package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"mha2mla":      func() { os.Exit(Main()) },
		"mha2mla-peak": func() { os.Exit(mainWithPeak()) },
	})
}

// TestScripts runs the sessions in testdata/script.
func TestScripts(t *testing.T) {
	stories, err := filepath.Abs("../../testdata/stories260k")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("STORIES", stories)
			e.Setenv("STOCK", filepath.Join(filepath.Dir(stories), "stock"))
			e.Setenv("GGUF", filepath.Join(filepath.Dir(filepath.Dir(stories)), "internal", "llamacpp", "testdata"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"mkllama":   makeLlama,
			"waitfor":   waitFor,
			"terminate": terminate,
			"damage":    damage,
			"same":      same,
		},
	})
}

// makeLlama makes a random checkpoint: mkllama DIR [kind=model_type] [name=number ...].
// With huge=1 a value is beyond F16, with broken=1 one is infinite, with extreme=1 values are beyond what can be
// computed with.
func makeLlama(ts *testscript.TestScript, _ bool, args []string) {
	var m testmodel.Llama
	var huge, extreme, broken int
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		if name == "kind" {
			m.Kind = value
			continue
		}
		n, err := strconv.Atoi(value)
		ts.Check(err)
		if name == "llama3" { // scaling of RoPE by a factor
			m.Config = map[string]any{"max_position_embeddings": 32 * n, "rope_scaling": map[string]any{
				"rope_type": "llama3", "factor": n, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 32}}
			continue
		}
		if name == "window" {
			m.Config = map[string]any{"sliding_window": n}
			continue
		}
		*map[string]*int{"hidden": &m.Hidden, "layers": &m.Layers, "heads": &m.Heads, "kv": &m.KVHeads, "dim": &m.HeadDim, "vocab": &m.Vocab, "huge": &huge, "extreme": &extreme, "broken": &broken}[name] = n
	}
	if huge > 0 {
		m.Poison = map[string]float64{"model.layers.0.mlp.gate_proj.weight": 1e6}
	}
	if broken > 0 {
		m.Poison = map[string]float64{"model.layers.0.mlp.gate_proj.weight": math.Inf(1)}
	}
	if extreme > 0 {
		m.DType = checkpoint.F64
		m.Edit = func(name string, _ int, values []float64) {
			if strings.HasSuffix(name, family.QProj) {
				for i := range values {
					values[i] *= 1e250
				}
			}
		}
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o777))
	ts.Check(m.WriteTo(dir))
}

// waitFor waits until a file is there, and has a text in it: waitfor FILE [TEXT]. What
// is waited for takes long under the race detector.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	for until := time.Now().Add(3 * time.Minute); time.Now().Before(until); time.Sleep(2 * time.Millisecond) {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && (len(args) == 1 || strings.Contains(string(text), args[1])) {
			return
		}
	}
	ts.Fatalf("%s did not appear", args[0])
}

// damage changes the last byte of a file: damage FILE.
func damage(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	text, err := os.ReadFile(path)
	ts.Check(err)
	text[len(text)-1] ^= 1
	ts.Check(os.WriteFile(path, text, 0o666))
}

// terminate sends SIGTERM to the commands in the background.
func terminate(ts *testscript.TestScript, _ bool, _ []string) {
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	}
}

// same compares two folders byte by byte: same A B.
func same(ts *testscript.TestScript, _ bool, args []string) {
	a, b := ts.MkAbs(args[0]), ts.MkAbs(args[1])
	entries, err := os.ReadDir(a)
	ts.Check(err)
	others, err := os.ReadDir(b)
	ts.Check(err)
	if len(entries) != len(others) || len(entries) == 0 {
		ts.Fatalf("%d files and %d", len(entries), len(others))
	}
	for _, e := range entries {
		x, err := os.ReadFile(filepath.Join(a, e.Name()))
		ts.Check(err)
		y, err := os.ReadFile(filepath.Join(b, e.Name()))
		ts.Check(err)
		if !bytes.Equal(x, y) {
			ts.Fatalf("%s differs", e.Name())
		}
	}
}

// run runs one command line and returns its exit status and output.
func run(args ...string) (status int, stdout, stderr string) {
	var out, err bytes.Buffer
	status = Run(context.Background(), args, &out, &err)
	return status, out.String(), err.String()
}

// copyFile copies a file.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, content, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// progressLine matches what a slow machine shows before an error.
var progressLine = regexp.MustCompile(`(?m)^mha2mla: [a-z ]+: \d+ %.*\n`)

// TestExitStatus provokes errors of every kind: one clear line, the right exit
// status, nothing on standard output, nothing written.
func TestExitStatus(t *testing.T) {
	model := func(m testmodel.Llama) string { return m.Write(t) }
	plain := model(testmodel.Llama{KVHeads: 2})
	file := filepath.Join(plain, checkpoint.SingleFile)
	const k = "model.layers.0.self_attn.k_proj.weight"
	linked := filepath.Join(t.TempDir(), "link.safetensors")
	if err := os.Symlink(file, linked); err != nil {
		t.Fatal(err)
	}
	hard := filepath.Join(t.TempDir(), "hard.safetensors")
	if err := os.Link(file, hard); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), checkpoint.ConfigFile)
	copyFile(t, filepath.Join(plain, checkpoint.ConfigFile), config)
	pictured := filepath.Join(t.TempDir(), "x.svg")
	copyFile(t, file, pictured)
	text := func(name, content string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	garbage := text("x.safetensors", "not a checkpoint")
	headers := "../checkpoint/testdata/headers/"
	ids := text("ids.json", "[1,2,3]")
	wordPiece := testmodel.Llama{}.Write(t)
	if err := os.WriteFile(filepath.Join(wordPiece, "tokenizer.json"), []byte(`{"version":"1.0","model":{"type":"WordPiece"}}`), 0o666); err != nil {
		t.Fatal(err)
	}
	dangling := filepath.Join(t.TempDir(), "dangling.safetensors")
	if err := os.Symlink("nothing", dangling); err != nil {
		t.Fatal(err)
	}
	converted := filepath.Join(t.TempDir(), "converted")
	if status, _, stderr := run("convert", plain, converted); status != exitDone {
		t.Fatal(stderr)
	}
	for name, c := range map[string]struct {
		args   string // OUT stands for an output that does not exist
		status int
		want   string
	}{
		"unknown command":         {"konvert a b", exitUsage, "unknown command"},
		"unknown flag":            {"convert --dvk 3 a OUT", exitUsage, "unknown flag: --dvk"},
		"no arguments":            {"convert", exitUsage, "convert takes IN and OUT"},
		"one argument":            {"verify " + plain, exitUsage, "verify takes SOURCE and CONVERTED"},
		"dkv 0":                   {"convert --dkv 0 " + plain + " OUT", exitUsage, `"0" is not a positive integer`},
		"dkv negative":            {"convert --dkv -3 " + plain + " OUT", exitUsage, `"-3" is not a positive integer`},
		"dkv a word":              {"convert --dkv x " + plain + " OUT", exitUsage, "not a positive integer"},
		"dkv too large":           {"convert --dkv 99 " + plain + " OUT", exitUsage, "rank of the stacked keys and values"},
		"dkv beyond all":          {"convert --dkv 4611686018427387905 " + plain + " OUT", exitUsage, "rank of the stacked keys and values"},
		"rope odd":                {"convert --rope-dims 3 " + plain + " OUT", exitUsage, "odd"},
		"rope 0":                  {"convert --rope-dims 0 " + plain + " OUT", exitUsage, "not a positive integer"},
		"rope too large":          {"convert --rope-dims 500 " + plain + " OUT", exitUsage, "above 16"},
		"q-lora a word":           {"convert --q-lora some " + plain + " OUT", exitUsage, "not none, exact or a positive integer"},
		"q-lora 0":                {"convert --q-lora 0 " + plain + " OUT", exitUsage, "not none, exact or a positive integer"},
		"q-lora too large":        {"convert --q-lora 33 " + plain + " OUT", exitUsage, "above 32, the rank of the stacked queries"},
		"two sizes":               {"convert --dkv 3 --cache 9 " + plain + " OUT", exitUsage, "--dkv, --kv-lora-rank and --cache"},
		"base NaN":                {"convert --rope-theta NaN " + plain + " OUT", exitUsage, "not a positive number"},
		"unknown type":            {"convert --dtype f8 " + plain + " OUT", exitUsage, "f8"},
		"unknown strategy":        {"convert --rope-select best " + plain + " OUT", exitUsage, "best"},
		"unknown weights":         {"convert --calibrate none --weights calibrated " + plain + " OUT", exitUsage, "calibrated"},
		"shard size":              {"convert --max-shard-size 5furlongs " + plain + " OUT", exitUsage, "not a size"},
		"jobs 0":                  {"convert --jobs 0 " + plain + " OUT", exitUsage, "not a positive integer"},
		"heal without tokens":     {"convert --calibrate none --heal 5 " + plain + " OUT", exitUsage, "--heal 5 needs tokens"},
		"heal 0":                  {"convert --heal 0 " + plain + " OUT", exitUsage, "not none, output, auto or a positive integer"},
		"heal pooled heads":       {"convert --method gqa-mean --heal 5 " + plain + " OUT", exitUsage, "--heal says nothing about"},
		"another tokenizer":       {"convert --calibrate " + text("a.txt", "a b") + " " + wordPiece + " OUT", exitUnsupported, `model: type "WordPiece" is not supported`},
		"a link to nothing":       {"convert " + plain + " " + dangling, exitUsage, "exists already"},
		"no such input":           {"convert " + plain + "/none OUT", exitFailed, "no such file"},
		"input is output":         {"convert --force " + file + " " + file, exitUsage, "belongs to the input"},
		"input is linked":         {"convert --force " + file + " " + linked, exitUsage, "belongs to the input"},
		"input is hard-linked":    {"convert --force " + file + " " + hard, exitUsage, "belongs to the input"},
		"input's folder":          {"convert --force " + plain + " " + plain, exitUsage, "belongs to the input"},
		"output exists":           {"convert " + plain + " " + converted, exitUsage, "exists already"},
		"no folder for output":    {"convert " + plain + " OUT/a/b", exitUsage, "folder of OUT"},
		"no folder for a file":    {"convert " + plain + " OUT/a.safetensors", exitUsage, "folder of OUT"},
		"dry run, no folder":      {"convert --dry-run " + plain + " OUT/a/b", exitUsage, "folder of OUT"},
		"configuration is output": {"convert --force --config " + config + " " + file + " " + filepath.Dir(config), exitUsage, "belongs to the input"},
		"picture of the input":    {"inspect --plot " + pictured + " --config " + config + " " + pictured, exitUsage, "belongs to the input"},
		"garbage":                 {"convert " + garbage + " OUT", exitMalformed, garbage},
		"duplicate name":          {"convert " + headers + "040-dup-tensor-key-diff-dtype.safetensors OUT", exitMalformed, "duplicate"},
		"sound, but no model":     {"inspect " + headers + "133-dtype-F8_E4M3.safetensors", exitUnsupported, "no configuration"},
		"empty folder":            {"convert " + t.TempDir() + " OUT", exitUnsupported, "no safetensors file"},
		"configuration garbage":   {"convert --config " + garbage + " " + plain + " OUT", exitMalformed, "invalid JSON"},
		"no such configuration":   {"convert --config none.json " + plain + " OUT", exitFailed, "none.json"},
		"NaN in k_proj":           {"convert " + model(testmodel.Llama{Poison: map[string]float64{k: math.NaN()}}) + " OUT", exitMalformed, `"` + k + `": NaN at [0 0]`},
		"unknown family":          {"convert " + model(testmodel.Llama{Config: map[string]any{"model_type": "mamba", "architectures": []string{"MambaForCausalLM"}}}) + " OUT", exitUnsupported, "MambaForCausalLM"},
		"another class":           {"convert " + model(testmodel.Llama{Config: map[string]any{"architectures": []string{"LlamaForSequenceClassification"}}}) + " OUT", exitUnsupported, "LlamaForSequenceClassification"},
		"latent already":          {"convert " + converted + " OUT", exitUnsupported, "latent attention already"},
		"odd head":                {"convert " + model(testmodel.Llama{HeadDim: 7}) + " OUT", exitMalformed, "even"},
		"no kernel so large":      {"convert --pad-to-kernel --rope-dims 80 " + model(testmodel.Llama{HeadDim: 80}) + " OUT", exitUsage, "takes no sizes as large"},
		"verify without tokens":   {"verify " + plain + " " + converted, exitUsage, "tokens"},
		"tokens garbage":          {"verify " + plain + " " + converted + " --tokens " + garbage, exitMalformed, "JSON"},
		"tokens beyond":           {"verify " + plain + " " + converted + " --tokens " + text("i.json", "[1,99]"), exitMalformed, "vocabulary has 64"},
		"one token":               {"verify " + plain + " " + converted + " --tokens " + text("i.json", "[1]"), exitMalformed, "no sequence of two tokens"},
		"window of one":           {"verify --window 1 " + plain + " " + converted + " --tokens " + ids, exitUsage, "two tokens"},
		"bits of no cache":        {"verify --cache-bits 5 " + plain + " " + converted + " --tokens " + ids, exitUsage, "not one of 8, 4, 2"},
		"another shape":           {"verify " + plain + " " + model(testmodel.Llama{Layers: 3}) + " --tokens " + ids, exitUsage, "not of one shape"},
		"threshold passed":        {"verify -q --max-kl 1e-9 " + plain + " " + converted + " --tokens " + ids, exitThreshold, "above --max-kl"},
		"picture of a kind":       {"inspect --plot x.bmp " + plain, exitUsage, "x.bmp"},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			args := strings.Fields(strings.ReplaceAll(c.args, "OUT", filepath.Join(parent, "out")))
			status, stdout, stderr := run(args...)
			if status != c.status || !strings.Contains(stderr, c.want) {
				t.Errorf("exit status %d, %s; want %d with %q", status, stderr, c.status, c.want)
			}
			lines := strings.Split(strings.TrimSpace(progressLine.ReplaceAllString(stderr, "")), "\n")
			for i, line := range lines {
				if prefix := map[bool]string{true: "mha2mla: ", false: "hint: "}[i == 0]; !strings.HasPrefix(line, prefix) || strings.HasSuffix(line, ".") {
					t.Errorf("line %q", line)
				}
			}
			if stdout != "" {
				t.Errorf("standard output: %q", stdout)
			}
			if left, _ := os.ReadDir(parent); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

// TestEveryHeader runs inspect on the whole corpus: files whose container is
// sound hold no model, the others are malformed.
func TestEveryHeader(t *testing.T) {
	list, err := os.ReadFile("../checkpoint/testdata/headers/catalogue.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(list)), "\n")[1:] {
		fields := strings.Split(line, "\t")
		want := map[string]int{"accept": exitUnsupported, "reject": exitMalformed}[fields[1]]
		status, stdout, stderr := run("inspect", "../checkpoint/testdata/headers/"+fields[0]+".safetensors")
		if status != want || stdout != "" || !strings.HasPrefix(stderr, "mha2mla: ") || strings.Count(stderr, "\n") > 2 {
			t.Errorf("%s: exit status %d, want %d: %q", fields[0], status, want, stderr)
		}
	}
}

// TestJSON: whatever else a command prints, its standard output is JSON.
func TestJSON(t *testing.T) {
	const gate = "model.layers.0.mlp.gate_proj.weight"
	plain := testmodel.Llama{KVHeads: 2, Poison: map[string]float64{"model.layers.0.mlp.gate_proj.weight": 1e30}}.Write(t)
	noisy := testmodel.Llama{Poison: map[string]float64{gate: math.Inf(1)}}.Write(t)
	out := filepath.Join(t.TempDir(), "out")
	ids := filepath.Join(t.TempDir(), "ids.json")
	text, err := json.Marshal(testmodel.Tokens(40, 64, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ids, text, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		keys []string
	}{
		{[]string{"convert", "--json", "--dry-run", noisy, "nowhere"}, []string{"source", "target", "cache", "tensors", "shards"}},
		{[]string{"convert", "--json", noisy, out}, []string{"source", "target", "cache", "tensors", "shards", "layers"}},
		{[]string{"inspect", "--json", "--plot", filepath.Join(t.TempDir(), "x.svg"), plain}, []string{"model", "sizes", "layers", "cache"}},
		{[]string{"verify", "--json", "--max-kl", "1e-9", "--tokens", ids, testmodel.Llama{Seed: 3}.Write(t), testmodel.Llama{Seed: 4}.Write(t)}, []string{"kl", "top1_agreement", "source", "converted", "layers", "cache", "positions"}},
	} {
		_, stdout, stderr := run(c.args...)
		var v map[string]any
		if err := json.Unmarshal([]byte(stdout), &v); err != nil {
			t.Errorf("%v: %v\n%s\n%s", c.args, err, stdout, stderr)
		}
		for _, key := range c.keys {
			if _, ok := v[key]; !ok {
				t.Errorf("%v: no %q", c.args, key)
			}
		}
	}
}

func TestInterruptedStatus(t *testing.T) {
	for signal, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(interrupted{signal})
		var stdout, stderr bytes.Buffer
		plain := testmodel.Llama{}.Write(t)
		if got := Run(ctx, []string{"inspect", plain}, &stdout, &stderr); got != want {
			t.Errorf("%v: exit status %d, want %d (%s)", signal, got, want, &stderr)
		}
	}
}

func TestNoSpace(t *testing.T) {
	err := failure{fmt.Errorf("writing: %w", &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC})}
	if got := exitStatus(err); got != exitNoSpace {
		t.Errorf("exit status %d", got)
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]int64{"5GB": 5e9, "512MiB": 512 << 20, "1.5kB": 1500, "7": 7, "7B": 7, "0": 0, "-1MB": 0, "GB": 0, "1e30TB": 0, "NaN": 0} {
		got, err := size(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%s: %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestRevision(t *testing.T) {
	for want, settings := range map[string][]debug.BuildSetting{
		"":                      nil,
		" (revision abc)":       {{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "false"}},
		" (revision abc+dirty)": {{Key: "vcs.modified", Value: "true"}, {Key: "vcs.revision", Value: "abc"}},
	} {
		if got := revision(settings); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"dkv", "dvk", 1}, {"dkv", "dkv", 0}, {"kitten", "sitting", 3}, {"ab", "a", 1}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
		if got := distance(c.b, c.a); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.b, c.a, got, c.want)
		}
	}
}

// TestAliases: every alias stands for a flag that there is.
func TestAliases(t *testing.T) {
	convert := newConvert()
	verify := newVerify()
	for alias, name := range aliases {
		if convert.Flags().Lookup(name) == nil && verify.Flags().Lookup(name) == nil {
			t.Errorf("%s stands for %s", alias, name)
		}
	}
}
