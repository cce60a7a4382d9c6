package checkpoint

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nlpodyssey/safetensors"
)

// TestWriterBytes writes tensors of several types in different orders and from
// several goroutines: the bytes are the same, and another reader agrees.
func TestWriterBytes(t *testing.T) {
	specs := []Spec{{"b", BF16, []int64{3, 1}}, {"a", F32, []int64{2}}, {"c", F64, []int64{}}, {"d", "I64", []int64{1}}, {"e", F16, []int64{0}}}
	fill := func(w *Writer, name string) error {
		out := w.Tensor(name)
		var err error
		switch name {
		case "d":
			_, err = out.Write([]byte{1, 2, 3, 4, 5, 6, 7, 8})
		default:
			values := map[string][]float64{"a": {1, 2}, "b": {3, 4, 5}, "c": {6}}[name]
			for _, v := range values { // in pieces
				err = errors.Join(err, out.WriteFloats([]float64{v}))
			}
		}
		return errors.Join(err, out.Close())
	}
	write := func(order ...string) []byte {
		t.Helper()
		path := filepath.Join(t.TempDir(), "f")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		w, err := NewWriter(f, specs, map[string]string{"format": "pt", "z": "\u2028<>"})
		if err != nil {
			t.Fatal(err)
		}
		if order == nil {
			var wg sync.WaitGroup
			for _, s := range specs {
				wg.Go(func() {
					if err := fill(w, s.Name); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		for _, name := range order {
			if err := fill(w, name); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	want := write("a", "b", "c", "d", "e")
	if !slices.Equal(write("e", "d", "c", "b", "a"), want) || !slices.Equal(write(), want) {
		t.Error("the bytes depend on the order of writing")
	}
	other, err := safetensors.Deserialize(want)
	if err != nil {
		t.Fatal(err)
	}
	if other.Len() != len(specs) {
		t.Errorf("another reader finds %d tensors, want %d", other.Len(), len(specs))
	}
	b, _ := other.Tensor("b")
	if !slices.Equal(b.Data(), []byte{0x40, 0x40, 0x80, 0x40, 0xa0, 0x40}) {
		t.Errorf("b is % x, want 3, 4 and 5 in BF16", b.Data())
	}
}

func TestWriterRefusals(t *testing.T) {
	open := func() *Writer {
		f, err := os.Create(filepath.Join(t.TempDir(), "f"))
		if err != nil {
			t.Fatal(err)
		}
		w, err := NewWriter(f, []Spec{{"a", F16, []int64{2, 2}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := open()
	out := w.Tensor("a")
	if err := out.WriteFloats([]float64{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if err := out.WriteFloats([]float64{1e6}); err == nil || !strings.Contains(err.Error(), `tensor "a": 1e+06 at [1 1] does not fit F16`) {
		t.Errorf("overflow of the type: %v", err)
	}
	if err := out.Close(); err == nil {
		t.Error("closed a tensor that is not complete")
	}
	if err := w.Close(); err == nil {
		t.Error("closed a file that is not complete")
	}
	w = open()
	defer w.Abandon()
	out = w.Tensor("a")
	if err := errors.Join(out.WriteFloats([]float64{1, 2, 3, 4, 5}), out.Close()); err == nil {
		t.Error("wrote past the end of a tensor")
	}
}

// names lists a folder.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

// input opens a checkpoint of its own folder.
func input(t *testing.T) *Source {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, SingleFile), "x")
	writeText(t, filepath.Join(dir, ConfigFile), "{}")
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestOutput(t *testing.T) {
	in, dir := input(t), t.TempDir()
	for _, whole := range []bool{true, false} {
		folder := dir
		if whole {
			folder = filepath.Join(dir, "fresh")
		}
		o, err := NewOutput(in, folder, []string{"a", "b"}, whole, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(o.WriteFile("a", []byte("A")), o.WriteFile("b", []byte("B"))); err != nil {
			t.Fatal(err)
		}
		for name := range strings.FieldsSeq(names(t, dir)) {
			if name != "fresh" && !strings.HasSuffix(name, tempSuffix) {
				t.Errorf("%q before commit", name)
			}
		}
		if err := errors.Join(o.Commit(), o.Discard()); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(filepath.Join(folder, "b")); string(got) != "B" {
			t.Errorf("b is %q, want B", got)
		}
	}
	if got := names(t, dir); got != "a b fresh" {
		t.Errorf("left %s", got)
	}
}

func TestOutputDiscard(t *testing.T) {
	in, dir := input(t), t.TempDir()
	for _, whole := range []bool{true, false} {
		folder := dir
		if whole {
			folder = filepath.Join(dir, "fresh")
		}
		o, err := NewOutput(in, folder, []string{"a"}, whole, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(o.WriteFile("a", []byte("A")), o.Discard()); err != nil {
			t.Fatal(err)
		}
		if got := names(t, dir); got != "" {
			t.Errorf("left %s", got)
		}
	}
}

// TestOutputAppears: a file that has appeared since is not replaced either.
func TestOutputAppears(t *testing.T) {
	dir := t.TempDir()
	o, err := NewOutput(input(t), dir, []string{"a", "b"}, false, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(o.WriteFile("a", []byte("A")), o.WriteFile("b", []byte("B"))); err != nil {
		t.Fatal(err)
	}
	writeText(t, filepath.Join(dir, "b"), "mine")
	if err := o.Commit(); !errors.As(err, new(*ExistsError)) {
		t.Errorf("got %v, want an ExistsError", err)
	}
	if err := o.Discard(); err != nil {
		t.Error(err)
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "b")); names(t, dir) != "b" || string(text) != "mine" {
		t.Errorf("left %s, %q", names(t, dir), text)
	}
}

func TestOutputRefusals(t *testing.T) {
	in, dir := input(t), t.TempDir()
	writeText(t, filepath.Join(dir, "there"), "old")
	if err := os.Link(in.Files()[0], filepath.Join(dir, "hard")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(in.Files()[0], filepath.Join(dir, "soft")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(in.Dir, filepath.Join(dir, "folder")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nothing", filepath.Join(dir, "dangling")); err != nil {
		t.Fatal(err)
	}
	linked := t.TempDir() // its stale shard is the input
	if err := os.Link(in.Files()[0], filepath.Join(linked, "model-00001-of-00001.safetensors")); err != nil {
		t.Fatal(err)
	}
	own := t.TempDir()
	writeText(t, filepath.Join(own, "other.json"), "{}")
	if _, _, err := in.Config(filepath.Join(own, "other.json")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		folder       string
		file         string
		whole, force bool
		want         error
	}{
		"exists":                {dir, "there", false, false, &ExistsError{}},
		"exists, force":         {dir, "there", false, true, nil},
		"folder exists":         {dir, "", true, false, &ExistsError{}},
		"folder exists, force":  {dir, "", true, true, nil},
		"no parent":             {filepath.Join(dir, "no", "way"), "", true, true, fs.ErrNotExist},
		"no folder":             {filepath.Join(dir, "no"), "x", false, true, fs.ErrNotExist},
		"the input's folder":    {in.Dir, "", true, true, &SameFileError{}},
		"a link to it":          {filepath.Join(dir, "folder"), "", true, true, &SameFileError{}},
		"the input's file":      {in.Dir, SingleFile, false, true, &SameFileError{}},
		"its configuration":     {in.Dir, ConfigFile, false, true, &SameFileError{}},
		"a hard link":           {dir, "hard", false, true, &SameFileError{}},
		"a symbolic link":       {dir, "soft", false, true, &SameFileError{}},
		"beside the input's":    {in.Dir, "out.safetensors", false, false, nil},
		"its own configuration": {own, "other.json", false, true, &SameFileError{}},
		"a link to weights":     {linked, "", true, true, &SameFileError{}},
		"a folder for a file":   {filepath.Dir(in.Dir), filepath.Base(in.Dir), false, true, &NotAFileError{}},
		"a file's, no force":    {dir, "dangling", false, false, &ExistsError{}},
		"a file's, force":       {dir, "dangling", false, true, nil},
		"a link to nothing":     {filepath.Join(dir, "dangling"), "", true, true, &NotAFileError{}},
	} {
		t.Run(name, func(t *testing.T) {
			var files []string
			if c.file != "" {
				files = []string{c.file}
			}
			err := CheckOutput(in, c.folder, files, c.whole, c.force)
			ok := err == nil
			switch c.want.(type) {
			case *ExistsError:
				ok = errors.As(err, new(*ExistsError))
			case *SameFileError:
				ok = errors.As(err, new(*SameFileError))
			case *NotAFileError:
				ok = errors.As(err, new(*NotAFileError))
			case error:
				ok = errors.Is(err, c.want)
			}
			if !ok {
				t.Errorf("got %v, want %T", err, c.want)
			}
		})
	}
}

// TestReplace replaces the checkpoint of a folder: what a loader would take for
// weights goes, and what is not this program's stays.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"model-00001-of-00002.safetensors", IndexFile, "config.json", "notes.txt", "model.gguf", "model-backup.safetensors"} {
		writeText(t, filepath.Join(dir, name), "old")
	}
	out, err := NewOutput(input(t), dir, []string{SingleFile, ConfigFile}, true, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{SingleFile, ConfigFile} {
		if err := out.WriteFile(name, []byte("new")); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != "config.json model-backup.safetensors model.gguf model.safetensors notes.txt" {
		t.Errorf("left %s", got)
	}
	if text, err := os.ReadFile(filepath.Join(dir, ConfigFile)); err != nil || string(text) != "new" {
		t.Errorf("the configuration is %q, %v, want new", text, err)
	}
}
