package checkpoint

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestManyFiles writes more files than are open at once, all at the same time.
func TestManyFiles(t *testing.T) {
	dir := t.TempDir()
	var names []string
	for i := range 3 * mostOpen {
		names = append(names, fmt.Sprint(i))
	}
	o, err := NewOutput(input(t), filepath.Join(dir, "out"), names, true, false)
	if err != nil {
		t.Fatal(err)
	}
	type writer interface {
		WriteAt([]byte, int64) (int, error)
		Sync() error
		Close() error
	}
	var files []writer
	for _, name := range names {
		f, err := o.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	for at := range int64(3) {
		for i, f := range files {
			if _, err := f.WriteAt([]byte{byte(i)}, at); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(o.open.files); n > mostOpen {
			t.Errorf("%d files are open, want at most %d", n, mostOpen)
		}
	}
	for _, f := range files {
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Commit(); err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		if got, err := os.ReadFile(filepath.Join(dir, "out", name)); err != nil || !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, 3)) {
			t.Errorf("%s holds %v, %v, want three times %d", name, got, err, byte(i))
		}
	}
}
