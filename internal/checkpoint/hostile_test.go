package checkpoint

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mha2mla/mha2mla/internal/fsys"
)

// tree reads all that is below dir, and where links lead.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case e.Type()&fs.ModeSymlink != 0:
			all[name], err = os.Readlink(path)
		case e.Type().IsRegular():
			text, readErr := os.ReadFile(path)
			all[name], err = string(text), readErr
		default:
			all[name] = e.Type().String()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// hostile is a temporary folder that somebody has prepared, beside a folder of the
// user's that is called precious.
type hostile map[string]string // content by name; → is a link, / a folder

func (h hostile) plant(t *testing.T, parent string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(parent, "precious"), 0o777); err != nil {
		t.Fatal(err)
	}
	writeText(t, filepath.Join(parent, "precious", "thesis"), "mine")
	for _, name := range slices.Sorted(maps.Keys(h)) {
		path, content := filepath.Join(parent, name), h[name]
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		target, isLink := strings.CutPrefix(content, "→")
		var err error
		switch {
		case content == "/":
			err = os.Mkdir(path, 0o777)
		case isLink:
			err = os.Symlink(target, path)
		default:
			err = os.WriteFile(path, []byte(content), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestHostileFolder: whatever lies in the temporary folder, nothing outside the output
// is read, changed, moved or removed, and a run that is refused changes nothing at all.
func TestHostileFolder(t *testing.T) {
	const fresh, there = ".out.mha2mla-tmp/", "out/.mha2mla-tmp/"
	for name, c := range map[string]struct {
		plant  hostile
		resume bool
		want   any // error; nil: it goes on
	}{
		"link for the folder":   {plant: hostile{".out.mha2mla-tmp": "→precious"}, want: new(*fsys.UnsafeError)},
		"link for new":          {plant: hostile{fresh + "journal": "", fresh + "new": "→../precious"}, resume: true, want: new(*fsys.UnsafeError)},
		"link for new, cleared": {plant: hostile{fresh + "journal": "", fresh + "new": "→../precious"}},
		"link for kept":         {plant: hostile{fresh + "kept": "→../precious"}},
		"link for the lock":     {plant: hostile{fresh + "lock": "→../precious/thesis"}, want: new(*fsys.UnsafeError)},
		"link for commit":       {plant: hostile{there + "commit": "→../../precious/thesis"}, want: new(*fsys.UnsafeError)},
		"link for old":          {plant: hostile{there + "commit": `{"new":[],"old":["thesis"]}`, there + "old": "→../../precious", there + "new": "/"}, want: new(*fsys.UnsafeError)},
		"folder for commit":     {plant: hostile{there + "commit/x": ""}, want: new(*fsys.UnsafeError)},
		"commit leads out":      {plant: hostile{there + "commit": `{"new":["../precious/thesis"]}`, there + "old": "/", there + "new": "/"}, want: new(*FormatError)},
		"commit leads up":       {plant: hostile{there + "commit": `{"old":["..","a"]}`, there + "old": "/", there + "new": "/"}, want: new(*FormatError)},
		"commit is no JSON":     {plant: hostile{there + "commit": `{`, there + "old": "/"}, want: new(*FormatError)},
		"commit of nothing yet": {plant: hostile{fresh + "commit": `{"new":["precious"]}`, fresh + "old": "/", fresh + "new": "/"}, want: new(*FormatError)},
		"commit takes a file":   {plant: hostile{there + "commit": `{"new":["notes"]}`, there + "old": "/", there + "new": "/", "out/notes": "mine"}},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			c.plant.plant(t, parent)
			before, out := tree(t, parent), filepath.Join(parent, "out")

			o, err := Reserve(input(t), out, "", Replace{Force: true, Resume: c.resume})
			if err == nil {
				if err := o.Discard(); err != nil { // refused for another reason
					t.Error(err)
				}
				if after := tree(t, parent); !maps.Equal(before, after) {
					t.Errorf("refused, it changed\n%v to\n%v", before, after)
				}
				if o, err = Reserve(input(t), out, "", Replace{Force: true, Resume: c.resume}); err == nil {
					err = o.Declare([]string{SingleFile})
				}
				if err == nil {
					err = errors.Join(o.WriteFile(SingleFile, []byte("new")), o.Commit())
				}
				err = errors.Join(err, o.Discard())
			}
			if ok := err == nil; c.want == nil && !ok || c.want != nil && (ok || !errors.As(err, c.want)) {
				t.Errorf("got %v, want %T", err, c.want)
			}
			after := tree(t, parent)
			for path, content := range before {
				if !strings.Contains(path, "mha2mla-tmp") && after[path] != content {
					t.Errorf("%q was %q and is %q", path, content, after[path])
				}
			}
			for path := range after {
				if strings.HasPrefix(path, "precious/") && path != "precious/thesis" {
					t.Errorf("%q was written", path)
				}
			}
		})
	}
}

// TestRefusedChangesNothing: without --force, not even what a run that died in the
// middle of an exchange has left is touched.
func TestRefusedChangesNothing(t *testing.T) {
	parent := t.TempDir()
	hostile{".x.mha2mla-tmp/commit": `{"new":[],"old":["x"]}`, ".x.mha2mla-tmp/old/x": "old", ".x.mha2mla-tmp/new": "/"}.plant(t, parent)
	before := tree(t, parent)
	if _, err := Reserve(input(t), parent, "x", Replace{}); !errors.As(err, new(*CutShortError)) {
		t.Errorf("got %v, want a CutShortError", err)
	}
	if after := tree(t, parent); !maps.Equal(before, after) {
		t.Errorf("changed\n%v to\n%v", before, after)
	}
	o, err := NewOutput(input(t), parent, []string{"x"}, false, true)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(parent, "x")); string(text) != "old" {
		t.Errorf("put back %q, %v, want old", text, err)
	}
	if err := o.Discard(); err != nil {
		t.Error(err)
	}
}

// TestRivals: two outputs that share a file do not get parts of each other, whichever
// is first, and of two that appear at once one is refused.
func TestRivals(t *testing.T) {
	dir := t.TempDir()
	commit := func(o *Output, content string) error {
		for _, name := range o.names {
			if err := o.WriteFile(name, []byte(content)); err != nil {
				return err
			}
		}
		return o.Commit()
	}
	open := func(names ...string) *Output {
		o, err := NewOutput(input(t), dir, names, false, false)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	a, b := open("a.safetensors", ConfigFile), open("b.safetensors", ConfigFile)
	if err := commit(a, "A"); err != nil {
		t.Fatal(err)
	}
	if err := commit(b, "B"); !errors.As(err, new(*OwnedError)) {
		t.Errorf("got %v, want an OwnedError", err)
	}
	if err := b.Discard(); err != nil {
		t.Error(err)
	}
	if got := names(t, dir); got != "a.safetensors config.json" {
		t.Errorf("left %s", got)
	}

	// what another run, dead or slow, has announced for the same file
	if err := os.Mkdir(filepath.Join(dir, ".z"+tempSuffix), 0o777); err != nil {
		t.Fatal(err)
	}
	writeText(t, filepath.Join(dir, ".z"+tempSuffix, "commit"), `{"new":["c"],"old":[]}`)
	c := open("c")
	start := time.Now()
	if err := commit(c, "C"); !errors.As(err, new(*RivalError)) || time.Since(start) < patience {
		t.Errorf("got %v after %v, want a RivalError after %v", err, time.Since(start), patience)
	}
	if err := c.Discard(); err != nil {
		t.Error(err)
	}
	if there, _ := os.ReadDir(filepath.Join(dir, ".z"+tempSuffix)); len(there) != 1 {
		t.Errorf("the other's folder holds %v", there)
	}
}

// TestLostLock: a run whose temporary folder another has taken, because the file system
// locks nothing, publishes nothing and leaves the other's files alone.
func TestLostLock(t *testing.T) {
	parent := t.TempDir()
	out := filepath.Join(parent, "out")
	first, err := NewOutput(input(t), out, []string{SingleFile}, true, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.WriteFile(SingleFile, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(parent, ".out"+tempSuffix, lockFile)); err != nil {
		t.Fatal(err)
	}
	second, err := NewOutput(input(t), out, []string{SingleFile}, true, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Commit(); !errors.As(err, new(*BusyError)) {
		t.Errorf("got %v, want a BusyError", err)
	}
	if err := first.Discard(); err != nil {
		t.Error(err)
	}
	if err := errors.Join(second.WriteFile(SingleFile, []byte("second")), second.Commit()); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(filepath.Join(out, SingleFile)); string(text) != "second" || names(t, parent) != "out" {
		t.Errorf("%q; left %s", text, names(t, parent))
	}
}

// TestOwned: a file in a directory that is an output of its own is not replaced.
func TestOwned(t *testing.T) {
	dir := t.TempDir()
	writeText(t, filepath.Join(dir, SingleFile), "weights")
	writeText(t, filepath.Join(dir, ManifestFile), `{"whole":true,"weights":[{"file":"model.safetensors"}],"files":[{"file":"config.json"}]}`)
	for _, name := range []string{SingleFile, ManifestFile, ConfigFile} {
		if err := CheckOutput(input(t), dir, []string{name}, false, true); !errors.As(err, new(*OwnedError)) {
			t.Errorf("%s: got %v, want an OwnedError", name, err)
		}
	}
	if err := CheckOutput(input(t), dir, []string{"other.safetensors"}, false, true); err != nil {
		t.Error(err)
	}
}

// TestLeftovers: with an output goes what came with the one before, unless the user has
// changed it.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"tokenizer.json": "old", "vocab.json": "edited", "notes": "mine", "model.config.json": "{}"} {
		writeText(t, filepath.Join(dir, name), text)
	}
	old := `,"bytes":3,"sha256":"` + DigestBytes([]byte("old")) + `"}`
	writeText(t, filepath.Join(dir, ManifestFile), `{"whole":true,"files":[{"file":"tokenizer.json"`+old+`,{"file":"vocab.json"`+old+`,{"file":"../x"`+old+`,{"file":"gone"`+old+`]}`)
	got, err := Leftovers(dir, []string{"config.json"})
	if want := []string{"tokenizer.json", "model.config.json"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if got, err := Leftovers(dir, []string{"tokenizer.json"}); err != nil || slices.Contains(got, "tokenizer.json") {
		t.Errorf("what is written goes: %v, %v", got, err)
	}
}

// TestLongName: a name of which no longer is possible has a temporary folder, too.
func TestLongName(t *testing.T) {
	parent := t.TempDir()
	name := strings.Repeat("x", maxName)
	o, err := NewOutput(input(t), filepath.Join(parent, name), []string{"a"}, true, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(o.WriteFile("a", nil), o.Commit()); err != nil {
		t.Fatal(err)
	}
	if got := names(t, parent); got != name {
		t.Errorf("left %s", got)
	}
	if a, b := temporaryName(name), temporaryName(name[1:]+"y"); a == b || len(a) > maxName {
		t.Errorf("%q and %q", a, b)
	}
}
