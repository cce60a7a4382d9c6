package torture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mha2mla/mha2mla/internal/budget"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/cli"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/heal"
	pipeline "github.com/mha2mla/mha2mla/internal/job"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// long reports whether all of it is to run.
var long = os.Getenv("MHA2MLA_TORTURE") != ""

// asProgram makes the test binary be mha2mla.
const asProgram = "MHA2MLA_TORTURE_RUN"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(cli.Main())
	}
	status := m.Run()
	tried.print()
	if status == 0 {
		fmt.Println("0 panics, 0 incomplete files under final names, 0 files lost, 0 temporary files left, 0 differing bytes")
	}
	os.Exit(status)
}

// tally counts what was tried.
type tally struct {
	mu    sync.Mutex
	names []string
	count map[string]int
}

var tried = tally{count: make(map[string]int)}

func (t *tally) add(what string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, there := t.count[what]; !there {
		t.names = append(t.names, what)
	}
	t.count[what] += n
}

func (t *tally) print() {
	fmt.Println("tried:")
	for _, name := range t.names {
		fmt.Printf("%8d  %s\n", t.count[name], name)
	}
}

// model is what is converted in most tests: of two layers, small.
func model(t *testing.T) *family.Model {
	return testmodel.Llama{KVHeads: 2}.Open(t)
}

// job is a conversion to be tried.
type job struct {
	rank      int   // 0: 8
	maxShard  int64 // 0: one shard
	reference bool  // in the mha2mla layout
	heal      bool
	replace   checkpoint.Replace
}

// severalShards makes three shards of model, so that layers lie in two.
const severalShards = 24e3

// request is what the job asks for.
func (j job) request() plan.Request {
	o := plan.Request{Rank: 8, RopeDims: 4, Theta: 100, Select: rope.High, Weights: mla.WeightsNone}
	if j.reference {
		o.Layout, o.Theta, o.Select = layout.FormReference, 0, rope.ByNorm
	}
	if j.rank > 0 {
		o.Rank = j.rank
	}
	if j.maxShard > 0 {
		o.MaxShard = j.maxShard
	}
	return o
}

// run converts m to out.
func (j job) run(m *family.Model, out string) error {
	output, err := convert.Reserve(m, out, j.replace)
	if err != nil {
		return err
	}
	p, err := pipeline.Plan(context.Background(), mla.Input{Model: m}, out, j.request(), plan.Data{})
	if err != nil {
		return err
	}
	run := convert.Options{Output: output, Budget: budget.Budget{Jobs: 1}}
	if j.heal {
		windows := [][]int{testmodel.Tokens(12, m.Vocab, 1), testmodel.Tokens(12, m.Vocab, 2)}
		if run.Healer, err = heal.New(m, windows, 2, heal.Both, nil); err != nil {
			return err
		}
		defer run.Healer.Close()
	}
	_, err = convert.Run(context.Background(), p, run)
	return err
}

// tempDir is a folder in memory, if there is such a thing: putting things on a
// disk thousands of times takes hours.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "mha2mla-torture-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// contents reads all files below dir by their paths. What is temporary does not
// count.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if temporary(e.Name()) {
			return fs.SkipDir
		}
		if e.IsDir() {
			return nil
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// temporary recognises a temporary name.
func temporary(name string) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".mha2mla-tmp")
}

// leaked lists what is temporary below dir.
func leaked(t *testing.T, dir string) []string {
	t.Helper()
	var left []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.Contains(e.Name(), "mha2mla-tmp") {
			left = append(left, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// same compares folders and names the first difference.
func same(got, want map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if text, there := got[name]; !there {
			return fmt.Errorf("%q is missing", name)
		} else if text != want[name] {
			return fmt.Errorf("%q differs", name)
		}
	}
	for name := range got {
		if _, there := want[name]; !there {
			return fmt.Errorf("%q is too much", name)
		}
	}
	return nil
}

// generation makes sure that of the files in got, every one is whole and all are of
// old or all of new, apart from those that are the same in both.
func generation(got, old, new map[string]string) error {
	var ofOld, ofNew string
	for name, text := range got {
		was, inOld := old[name]
		is, inNew := new[name]
		switch {
		case inOld && inNew && was == is && text == is:
		case inOld && text == was:
			ofOld = name
		case inNew && text == is:
			ofNew = name
		default:
			return fmt.Errorf("%q is neither old nor new", name)
		}
	}
	if ofOld != "" && ofNew != "" {
		return fmt.Errorf("%q is old and %q is new", ofOld, ofNew)
	}
	return nil
}

// settle does what a run does first, and no more.
func settle(m *family.Model, out string) error {
	return settleOn(m, out, nil)
}

// settleOn is settle on a file system.
func settleOn(m *family.Model, out string, files fsys.FS) error {
	o, err := convert.Reserve(m, out, checkpoint.Replace{Force: true, FS: files})
	if err != nil {
		return err
	}
	_, main := plan.Place(out)
	names := checkpoint.Names(main)
	if main == "" {
		names = []string{checkpoint.SingleFile}
	}
	return errors.Join(o.Declare(names), o.Discard())
}

// program runs mha2mla in a process of its own.
func program(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// must runs mha2mla, which must succeed.
func must(t *testing.T, args ...string) {
	t.Helper()
	var stderr bytes.Buffer
	cmd := program(args...)
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v: %s", args, err, &stderr)
	}
}
