package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// write writes a safetensors file of F32 tensors with the given names, two
// elements each: the index of the name, and -1.
func write(t *testing.T, path string, names ...string) {
	t.Helper()
	var specs []Spec
	for _, name := range names {
		specs = append(specs, Spec{name, F32, []int64{2}})
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(f, specs, map[string]string{"format": "pt"})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		out := w.Tensor(name)
		if err := errors.Join(out.WriteFloats([]float64{float64(i), -1}), out.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// writeIndex writes an index of the given tensors and shards.
func writeIndex(t *testing.T, dir string, shardOf map[string]string) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"metadata": map[string]int{"total_size": 1}, "weight_map": shardOf})
	if err != nil {
		t.Fatal(err)
	}
	writeText(t, filepath.Join(dir, IndexFile), string(text))
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestOpenSharded(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.safetensors"), "y", "x")
	write(t, filepath.Join(dir, "b.safetensors"), "w")
	write(t, filepath.Join(dir, "consolidated.00.safetensors"), "x") // ignored
	writeIndex(t, dir, map[string]string{"x": "a.safetensors", "y": "a.safetensors", "w": "b.safetensors"})
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var names []string
	for _, tensor := range s.Tensors() {
		names = append(names, tensor.Name)
	}
	if got := strings.Join(names, " "); got != "w x y" {
		t.Errorf("got tensors %s, want w x y", got)
	}
	values := make([]float64, 2)
	if err := ReadFinite(s.Lookup("x"), 0, values); err != nil || values[0] != 1 || values[1] != -1 {
		t.Errorf("x is %v, %v, want [1 -1]", values, err)
	}
	if s.Lookup("v") != nil {
		t.Error("found a tensor that is not there")
	}
	if len(s.Files()) != 2 || !s.IsDir() {
		t.Errorf("got files %v, want two of a directory", s.Files())
	}
}

// TestOpenSingle: a file of another name beside model.safetensors is somebody
// else's.
func TestOpenSingle(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, SingleFile), "x")
	write(t, filepath.Join(dir, "other.safetensors"), "y")
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Lookup("x") == nil || s.Lookup("y") != nil {
		t.Error("opened the wrong file")
	}
}

func TestOpenLinked(t *testing.T) { // as the hub's cache is laid out
	dir := t.TempDir()
	blob, snapshot := filepath.Join(dir, "blobs"), filepath.Join(dir, "snapshots", "x")
	if err := errors.Join(os.MkdirAll(blob, 0o777), os.MkdirAll(snapshot, 0o777)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(blob, "0123"), "x")
	if err := os.Symlink("../../blobs/0123", filepath.Join(snapshot, SingleFile)); err != nil {
		t.Skip(err)
	}
	s, err := Open(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// TestRefusedDirectories lays out folders that must not be opened.
func TestRefusedDirectories(t *testing.T) {
	shard := func(t *testing.T, dir string) { write(t, filepath.Join(dir, "a.safetensors"), "x") }
	named := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			shard(t, dir)
			writeIndex(t, dir, map[string]string{"x": name})
		}
	}
	text := func(text string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			shard(t, dir)
			writeText(t, filepath.Join(dir, IndexFile), text)
		}
	}
	for name, c := range map[string]struct {
		make func(*testing.T, string)
		want string
	}{
		"empty":             {func(*testing.T, string) {}, "no safetensors file"},
		"pytorch only":      {func(t *testing.T, dir string) { writeText(t, filepath.Join(dir, "pytorch_model.bin"), "x") }, "does not read"},
		"parent":            {named("../a.safetensors"), "unsafe shard name"},
		"parent, backslash": {named(`..\a.safetensors`), "unsafe shard name"},
		"absolute":          {named("/a.safetensors"), "unsafe shard name"},
		"drive":             {named(`C:\a.safetensors`), "unsafe shard name"},
		"dot":               {named("."), "unsafe shard name"},
		"nul":               {named("a\x00.safetensors"), "unsafe shard name"},
		"empty name":        {named(""), "unsafe shard name"},
		"stream":            {named("a.safetensors:x.safetensors"), "unsafe shard name"},
		"escape sequence":   {named("\x1b[2J.safetensors"), "unsafe shard name"},
		"very long":         {named(strings.Repeat("a", 250) + ".safetensors"), "no file system"},
		"hidden":            {named(".a.safetensors"), "unsafe shard name"},
		"bin":               {named("a.bin"), "not a safetensors file"},
		"missing shard":     {named("b.safetensors"), "is missing"},
		"not JSON":          {text("{"), "too early"},
		"no weight_map":     {text("{}"), "no weight_map"},
		"weight_map a list": {text(`{"weight_map":[]}`), "where an object belongs"},
		"shard a number":    {text(`{"weight_map":{"x":1}}`), "where a string belongs"},
		"tensor twice":      {text(`{"weight_map":{"x":"a.safetensors","x":"a.safetensors"}}`), "duplicate"},
		"trailing":          {text(`{"weight_map":{"x":"a.safetensors"}} {}`), "the end"},
		"elsewhere": {func(t *testing.T, dir string) {
			shard(t, dir)
			write(t, filepath.Join(dir, "b.safetensors"), "y")
			writeIndex(t, dir, map[string]string{"x": "b.safetensors", "y": "a.safetensors"})
		}, `tensor "x" is indexed in "b.safetensors" and stored in "a.safetensors"`},
		"not indexed": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "a.safetensors"), "x", "y")
			writeIndex(t, dir, map[string]string{"x": "a.safetensors"})
		}, "not indexed"},
		"not stored": {func(t *testing.T, dir string) {
			shard(t, dir)
			writeIndex(t, dir, map[string]string{"x": "a.safetensors", "y": "a.safetensors"})
		}, "not stored"},
		"stored twice": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "a.safetensors"), "x", "y")
			write(t, filepath.Join(dir, "b.safetensors"), "x")
			writeIndex(t, dir, map[string]string{"x": "a.safetensors", "y": "b.safetensors"})
		}, "stored twice"},
		"single beside shards": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "model-00001-of-00002.safetensors"), "x")
			write(t, filepath.Join(dir, SingleFile), "x")
		}, "ambiguous"},
		"one shard of several": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "model-00001-of-00002.safetensors"), "x")
		}, "no \"model.safetensors.index.json\""},
		"single beside an index": {func(t *testing.T, dir string) {
			named("a.safetensors")(t, dir)
			write(t, filepath.Join(dir, SingleFile), "x")
		}, "ambiguous"},
		"shards without index": {func(t *testing.T, dir string) {
			shard(t, dir)
			write(t, filepath.Join(dir, "b.safetensors"), "y")
		}, "no \"model.safetensors.index.json\""},
		"a folder as a shard": {func(t *testing.T, dir string) {
			if err := os.Mkdir(filepath.Join(dir, "a.safetensors"), 0o777); err != nil {
				t.Fatal(err)
			}
		}, "not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c.make(t, dir)
			s, err := Open(dir)
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestConfigOrder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.safetensors")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(f, []Spec{{"x", "U8", []int64{0}}}, map[string]string{MetadataConfig: "embedded"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	expect := func(override, want string) {
		t.Helper()
		if got, _, err := s.Config(override); err != nil || string(got) != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	expect("", "embedded")
	writeText(t, filepath.Join(dir, ConfigFile), "beside")
	expect("", "beside")
	writeText(t, filepath.Join(dir, "m.config.json"), "own")
	expect("", "own")
	writeText(t, filepath.Join(dir, "other.json"), "other")
	expect(filepath.Join(dir, "other.json"), "other")
}

func TestReadFinite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(f, []Spec{{"m", F32, []int64{2, 3}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	nan := 0.0
	nan /= nan
	out := w.Tensor("m")
	if err := errors.Join(out.WriteFloats([]float64{1, 2, 3, 4, nan, 6}), out.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = ReadFinite(s.Lookup("m"), 3, make([]float32, 3))
	if err == nil || !strings.Contains(err.Error(), `tensor "m": NaN at [1 1]`) {
		t.Errorf("got %v, want an error that names NaN at [1 1] of m", err)
	}
	if err := ReadFinite(s.Lookup("m"), 0, make([]float32, 3)); err != nil {
		t.Error(err)
	}
}

// TestShrunkenFile reads a file that became shorter after it was opened.
func TestShrunkenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	write(t, path, "x")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.Truncate(path, 20); err != nil {
		t.Fatal(err)
	}
	if err := Read(s.Lookup("x"), 0, make([]float64, 2)); err == nil || !strings.Contains(err.Error(), "became shorter") {
		t.Errorf("got %v, want an error that the file became shorter", err)
	}
}

// FuzzIndex feeds arbitrary text to the index reader. What it accepts names
// plain files only.
func FuzzIndex(f *testing.F) {
	for _, seed := range []string{`{"weight_map":{"x":"a.safetensors"}}`, `{"weight_map":{"x":"../a.safetensors"}}`, `{"metadata":{"total_size":1},"weight_map":{}}`, `{"weight_map":{"x":""}}`, `[]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		shards, err := parseIndex(bytes.NewReader(text))
		if err != nil {
			return
		}
		for tensor, shard := range shards {
			if tensor == "" || filepath.Base(shard) != shard || !filepath.IsLocal(shard) || strings.ContainsAny(shard, "/\\:\x00") {
				t.Errorf("accepted shard %q of tensor %q", shard, tensor)
			}
		}
	})
}

// TestUnchanged: a file that is touched, grows, shrinks, goes away or gives its name
// to another is no longer what was read.
func TestUnchanged(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"nothing": func(string) error { return nil },
		"touched": func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1e9, 0)) },
		"grown": func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString("more")
			}
			return errors.Join(err, f.Close())
		},
		"shrunken": func(path string) error { return os.Truncate(path, 1) },
		"removed":  os.Remove,
		"replaced": func(path string) error {
			if err := os.Rename(path, path+".old"); err != nil {
				return err
			}
			return os.WriteFile(path, []byte("another"), 0o666)
		},
	} {
		path := filepath.Join(t.TempDir(), "x.safetensors")
		if err := os.WriteFile(path, fileOf(`{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), 0o666); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := change(path); err != nil {
			t.Fatal(err)
		}
		if err := s.Unchanged(); (err == nil) != (name == "nothing") || err != nil && !strings.Contains(err.Error(), "changed while it was read") {
			t.Errorf("%s: got %v, want an error exactly if something has changed", name, err)
		}
	}
}

// TestWithout finds the file that lacks a mark in its metadata.
func TestWithout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "one.safetensors")
	write(t, path, "a")
	src, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if got := src.Without("format", "pt"); got != "" {
		t.Errorf("%q has no format", got)
	}
	if got := src.Without("format", "tf"); got != path {
		t.Errorf("%q has another format", got)
	}
}
