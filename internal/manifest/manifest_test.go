package manifest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// TestHostile: a manifest from a stranger never leads out of its folder, and what
// is none is a finding, not a failure.
func TestHostile(t *testing.T) {
	encoded := func(m Manifest) string {
		text, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":         {"", "invalid JSON"},
		"garbage":       {"{", "invalid JSON"},
		"nothing":       {"{}", "was changed"},
		"null":          {"null", "was changed"},
		"a path":        {encoded(Manifest{Files: []checkpoint.FileDigest{{File: "../secret"}}}), "not the name of a file"},
		"the folder":    {encoded(Manifest{Weights: []checkpoint.WeightsDigest{{File: ".."}}}), "not the name of a file"},
		"a dot":         {encoded(Manifest{Files: []checkpoint.FileDigest{{File: "."}}}), "not the name of a file"},
		"a folder":      {encoded(Manifest{Files: []checkpoint.FileDigest{{File: "folder"}}}), "not a regular file"},
		"weights":       {encoded(Manifest{Weights: []checkpoint.WeightsDigest{{File: "folder"}}}), "not a regular file"},
		"no digests":    {encoded(Manifest{Weights: []checkpoint.WeightsDigest{{File: "a.safetensors"}}}), "is missing"},
		"another form":  {strings.Replace(encoded(Manifest{}), `"mha2mla_manifest": 1`, `"mha2mla_manifest": 2`, 1), "was changed"},
		"space added":   {encoded(Manifest{}) + " ", "was changed"},
		"digest zeroed": {strings.Replace(encoded(Manifest{Whole: true}), `"sha256": "`, `"sha256": "0`, 1), "was changed"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, checkpoint.ManifestFile), []byte(c.text), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(dir, "folder"), 0o777); err != nil {
			t.Fatal(err)
		}
		r, err := Check(t.Context(), dir)
		if err != nil || len(r.Findings) == 0 || !strings.Contains(r.Findings[0].String(), c.want) {
			t.Errorf("%s: got %+v, %v, want a finding with %q", name, r, err, c.want)
		}
	}
}
