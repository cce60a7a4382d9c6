package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestDifferences: a file is no different from itself, and the least change of a key or a tensor is
// told by its name; but the name of a model may be another.
func TestDifferences(t *testing.T) {
	const sound = "../../llamacpp/testdata/deepseek_v3.f32.gguf"
	text, err := os.ReadFile(sound)
	if err != nil {
		t.Fatal(err)
	}
	change := func(old, new string) []byte { return bytes.Replace(text, []byte(old), []byte(new), 1) }
	last := slices.Clone(text)
	last[len(last)-1] ^= 1
	for name, c := range map[string]struct {
		text []byte
		want []string
	}{
		"nothing": {text, nil},
		"name":    {change("Deepseek_V3", "Deepseek_V4"), nil},
		"key":     {change("deepseek2.block_count", "deepseek2.block_kount"), []string{"deepseek2.block_count"}},
		"token":   {change("<|im_end|>", "<|im_and|>"), []string{"tokenizer.ggml.tokens"}},
		"tensor":  {change("output_norm.weight", "output_morn.weight"), []string{"output_norm.weight"}},
		"number":  {last, []string{"output_norm.weight"}},
	} {
		path := filepath.Join(t.TempDir(), "other.gguf")
		if err := os.WriteFile(path, c.text, 0o666); err != nil {
			t.Fatal(err)
		}
		found, err := differences(sound, path)
		if err != nil || !slices.Equal(found, c.want) {
			t.Errorf("%s: found %v, %v, want %v", name, found, err, c.want)
		}
	}
}
