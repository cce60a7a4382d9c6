package manifest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// FuzzManifest: whatever a manifest says, reading it neither panics nor leads out of
// the folder.
func FuzzManifest(f *testing.F) {
	text, err := Manifest{
		Weights: []checkpoint.WeightsDigest{{File: "a.safetensors", Digests: &checkpoint.Digests{Tensors: map[string]string{"x": "y"}}}},
		Files:   []checkpoint.FileDigest{{File: "config.json"}},
	}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"weights":[{"file":"../x"},null],"files":null,"sha256":""}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(dir, checkpoint.ManifestFile)
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
		m, _, err := read(path)
		if err != nil {
			return
		}
		for _, name := range m.names() {
			if filepath.Join(dir, name) != dir+string(filepath.Separator)+name || filepath.Dir(filepath.Join(dir, name)) != dir {
				t.Errorf("%q leads out of the folder", name)
			}
		}
		if _, err := Check(t.Context(), dir); err != nil {
			t.Error(err)
		}
	})
}
