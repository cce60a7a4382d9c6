package journal

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/mha2mla/mha2mla/internal/fsys"
)

// folder is where a journal is.
func folder(t testing.TB) fsys.Folder {
	t.Helper()
	f, err := fsys.OS{}.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestJournal(t *testing.T) {
	in := folder(t)
	if got, err := Read[int](in, "journal"); err != nil || got != nil {
		t.Errorf("no file: %v, %v", got, err)
	}
	for range 2 { // the second time in the place of the first
		j, err := Create(in, "journal", []int{1, 2})
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for n := 3; n < 20; n++ {
			group.Go(func() {
				if err := j.Add(n); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := Read[int](in, "journal")
		slices.Sort(got)
		if err != nil || len(got) != 19 || got[0] != 1 || got[18] != 19 {
			t.Errorf("read %v, %v, want 1 to 19", got, err)
		}
	}
}

// TestTorn cuts a journal short and changes it at every byte: whole records before
// the cut are there, and no change goes unseen but in the last line's end, which is
// a cut.
func TestTorn(t *testing.T) {
	in := folder(t)
	path := filepath.Join(in.Path(), "journal")
	want := []string{"first", "second", "third"}
	j, err := Create(in, "journal", want)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	read := func(text []byte) ([]string, error) {
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
		return Read[string](in, "journal")
	}
	for n := range text {
		got, err := read(text[:n])
		if err != nil || !slices.Equal(got, want[:len(got)]) || len(got) != slices.Index([]bool{n < 17, n < 35, true}, true) {
			t.Errorf("cut at %d: got %q, %v, want the lines before it", n, got, err)
		}
		changed := slices.Clone(text)
		changed[n] ^= 1
		if got, err := read(changed); !errors.Is(err, ErrDamaged) && !(n == len(text)-1 && slices.Equal(got, want[:2])) {
			t.Errorf("changed at %d: got %q, %v, want ErrDamaged", n, got, err)
		}
	}
}
