package torture

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/fsys/faultfs"
)

// kind is a kind of output.
type kind struct {
	name  string
	out   string // its name
	job   job
	old   *job   // what is there before; nil: nothing
	notes bool   // and what does not belong to it
	in    string // path of the source; empty: that of model
}

var kinds = []kind{
	{name: "file", out: "out.safetensors"},
	{name: "file, replaced", out: "out.safetensors", old: &job{rank: 12}},
	{name: "directory", out: "out"},
	{name: "directory, replaced", out: "out", old: &job{rank: 12, maxShard: severalShards}, notes: true},
	{name: "shards", out: "out", job: job{maxShard: severalShards}},
	{name: "shards, mha2mla layout", out: "out", job: job{maxShard: severalShards, reference: true}},
	{name: "file, healed", out: "out.safetensors", job: job{heal: true}},
	{name: "parts of a GGUF file", out: "out.gguf", job: job{maxShard: 10e3}, in: tinyGGUF},
	{name: "parts of a GGUF file, replaced", out: "out.gguf", job: job{maxShard: 10e3}, old: &job{rank: 12, maxShard: 20e3}, in: tinyGGUF},
	{name: "shards, replaced", out: "out", job: job{maxShard: severalShards}, old: &job{rank: 12, maxShard: 30e3}, notes: true},
}

// tinyGGUF is a GGUF file with a vocabulary.
const tinyGGUF = "../../llamacpp/testdata/llama.f16.gguf"

// scene is a kind of output with what must be found.
type scene struct {
	kind
	m        *family.Model
	before   string // folder as it is before
	old, new map[string]string
}

func newScene(t *testing.T, k kind) *scene {
	t.Helper()
	s := &scene{kind: k, before: tempDir(t)}
	if k.in == "" {
		s.m = model(t)
	} else {
		s.m = testmodel.Open(t, k.in)
	}
	if k.old != nil {
		if err := k.old.run(s.m, filepath.Join(s.before, k.out)); err != nil {
			t.Fatal(err)
		}
	}
	if k.notes {
		notes := filepath.Join(s.before, k.out, "notes")
		if err := os.Mkdir(notes, 0o777); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{filepath.Join(notes, "a.txt"), filepath.Join(s.before, k.out, "b.txt")} {
			if err := os.WriteFile(path, []byte("mine"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.old = contents(t, s.before)
	dir := s.set(t)
	if err := s.run(dir, checkpoint.Replace{Force: true}); err != nil {
		t.Fatal(err)
	}
	s.new = contents(t, dir)
	return s
}

// set makes a folder as it is before.
func (s *scene) set(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(tempDir(t), "x")
	if err := os.CopyFS(dir, os.DirFS(s.before)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (s *scene) run(dir string, r checkpoint.Replace) error {
	j := s.job
	j.replace = r
	return j.run(s.m, filepath.Join(dir, s.out))
}

// TestEveryCall fails, and kills, a conversion at every call it makes to write.
func TestEveryCall(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			s := newScene(t, k)
			step := 1
			if !long {
				step = 11
			}
			for _, way := range []struct {
				name   string
				fs     func(int) *faultfs.FS
				resume bool
			}{{"failed", faultfs.Fail, false}, {"killed", faultfs.Kill, false}, {"killed, then resumed", faultfs.Kill, true}} {
				n := 1
				for ; s.fault(t, way.fs(n), way.resume); n += step {
					tried.add("calls "+way.name+": "+k.name, 1)
				}
				if n < 40 {
					t.Errorf("only %d calls", n)
				}
			}
		})
	}
}

// fault runs a conversion on a file system with a fault, looks at what is there,
// and does it again without. It is false if the fault was not reached.
func (s *scene) fault(t *testing.T, faulty *faultfs.FS, resume bool) bool {
	t.Helper()
	dir := s.set(t)
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, s.out)
	fail := func(format string, args ...any) {
		t.Helper()
		t.Errorf("call %d: %s", faulty.Calls(), fmt.Sprintf(format, args...))
	}
	err := s.run(dir, checkpoint.Replace{Force: true, Resume: resume, FS: faulty})
	if !faulty.Reached() {
		if err != nil {
			fail("not reached: %v", err)
		}
		return false
	}
	for _, path := range faulty.Paths() {
		if !within(path, out) {
			fail("touched %q", path)
		}
	}
	if err := generation(contents(t, dir), s.old, s.new); err != nil {
		fail("right after: %v", err)
	}
	if !resume {
		if err := settle(s.m, out); err != nil {
			fail("settling: %v", err)
		}
		now := contents(t, dir)
		if same(now, s.old) != nil && same(now, s.new) != nil {
			fail("lost: %v, %v", same(now, s.old), same(now, s.new))
		}
		if left := leaked(t, dir); len(left) > 0 {
			fail("leaked %v", left)
		}
	}
	if err := s.run(dir, checkpoint.Replace{Force: true, Resume: resume}); err != nil {
		fail("again: %v", err)
	}
	if err := same(contents(t, dir), s.new); err != nil {
		fail("again: %v", err)
	}
	if left := leaked(t, dir); len(left) > 0 {
		fail("leaked %v", left)
	}
	return true
}

// within reports whether path is the output's: below it, in the temporary folder
// beside it, or for a file one of the names that begin like it.
func within(path, out string) bool {
	parent, base := filepath.Split(out)
	if path == out || strings.HasPrefix(path, out+"/") || strings.HasPrefix(path, parent+"."+base+".mha2mla-tmp") {
		return true
	}
	if stem, isFile := strings.CutSuffix(out, ".gguf"); isFile {
		return strings.HasPrefix(path, stem+"-0000") || path == out+".mha2mla.json" || path == stem+".Modelfile" || path == filepath.Clean(parent)
	}
	stem, isFile := strings.CutSuffix(out, ".safetensors")
	return isFile && (path == stem+".mha2mla.json" || path == stem+".config.json" || path == parent+"config.json" || path == filepath.Clean(parent))
}
