package torture

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/manifest"
)

// TestBitFlips flips bits all over an output: each is found, and the file named,
// and the tensor if it is one of its.
func TestBitFlips(t *testing.T) {
	for _, k := range []kind{kinds[0], kinds[4]} {
		s := newScene(t, k)
		dir := s.set(t)
		if err := s.run(dir, checkpoint.Replace{}); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, s.out)
		if r, err := manifest.Check(t.Context(), out); err != nil || len(r.Findings) > 0 || r.Tensors == 0 {
			t.Fatalf("undamaged: %+v, %v", r, err)
		}
		flips := 4
		if long {
			flips = 300
		}
		for name := range s.new {
			for range flips {
				flip(t, filepath.Join(dir, name), out)
			}
		}
	}
}

// flip flips a random bit of the file at path and expects it to be found.
func flip(t *testing.T, path, out string) {
	t.Helper()
	tried.add("bits flipped", 1)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at, bit := rand.IntN(len(text)), byte(1)<<rand.IntN(8)
	write := func() {
		text[at] ^= bit
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write()
	defer write()
	r, err := manifest.Check(t.Context(), out)
	if err != nil {
		t.Fatalf("%s, byte %d: %v", path, at, err)
	}
	text[at] ^= bit // as it was, to see where the data begin
	inData := filepath.Ext(path) == ".safetensors" && at >= 8+int(binary.LittleEndian.Uint64(text))
	text[at] ^= bit
	for _, f := range r.Findings {
		if f.File == filepath.Base(path) && (f.Tensor != "" || !inData) {
			tried.add("bits found", 1)
			return
		}
	}
	t.Errorf("%s, byte %d, bit %d: found %v", path, at, bit, r.Findings)
}

// TestMissingAndExtra: what is not there is missed, and what should not be there is
// seen.
func TestMissingAndExtra(t *testing.T) {
	s := shards(t)
	dir := s.set(t)
	if err := s.run(dir, checkpoint.Replace{}); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, s.out)
	found := func(name, what string) {
		t.Helper()
		r, err := manifest.Check(t.Context(), out)
		if err != nil || len(r.Findings) != 1 || r.Findings[0].File != name || !strings.Contains(r.Findings[0].What, what) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	for path := range s.new {
		name := filepath.Base(path)
		if name == checkpoint.ManifestFile {
			continue
		}
		moved := filepath.Join(dir, name)
		if err := os.Rename(filepath.Join(out, name), moved); err != nil {
			t.Fatal(err)
		}
		found(name, "missing")
		if err := os.Rename(moved, filepath.Join(out, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(out, "modeling.py"), []byte("evil"), 0o666); err != nil {
		t.Fatal(err)
	}
	found("modeling.py", "not written by the conversion")
}
