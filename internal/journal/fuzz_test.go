package journal

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzRead: whatever is in the file, reading it does not panic, and one that is
// damaged gives nothing.
func FuzzRead(f *testing.F) {
	line, err := encode("a record")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add(append(line, "cut short"...))
	f.Add([]byte("00000000 \n"))
	in := folder(f)
	path := filepath.Join(in.Path(), "journal")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
		records, err := Read[any](in, "journal")
		if err != nil && len(records) > 0 {
			t.Errorf("%v and %v", records, err)
		}
	})
}
