package calib

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
)

// chunkFiles writes the statistics of every chunk of a text, the last first, and opens them in
// their order.
func chunkFiles(t *testing.T, m *family.Model, text Text) []*File {
	t.Helper()
	var files []*File
	for k := range text.Chunks() {
		path := filepath.Join(t.TempDir(), "chunk")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := WriteChunk(context.Background(), m, text, k, f, nil, nil); err != nil {
			t.Fatal(err)
		}
		file, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		files = append(files, file)
	}
	return files
}

// TestChunks: statistics of chunks, each gathered by itself, add up to the bytes that Gather
// writes, with windows held out and without, with fewer windows than chunks and with more.
func TestChunks(t *testing.T) {
	for name, c := range map[string]struct {
		model testmodel.Llama
		text  []int
	}{
		"one window":             {small, []int{30}},
		"three":                  {small, []int{9, 30, 7}},
		"as many as chunks":      {small, []int{9, 9, 9, 9, 9, 9, 9, 9}},
		"some held out":          {small, slices.Repeat([]int{12}, 23)},
		"a norm on queries, too": {testmodel.Llama{Hidden: 20, Heads: 4, KVHeads: 2, HeadDim: 6, Layers: 2, Kind: "qwen3"}, []int{9, 30, 7, 12, 8, 8, 8, 8, 8, 8, 8}},
	} {
		m := c.model.Open(t)
		text := Hold(windowsOf(m, 1, c.text...))
		dir := t.TempDir()
		whole, joined := filepath.Join(dir, "whole"), filepath.Join(dir, "joined")
		if _, err := Gather(context.Background(), m, text, nil, whole, false, nil); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(joined)
		if err != nil {
			t.Fatal(err)
		}
		if err := JoinChunks(context.Background(), m, text, chunkFiles(t, m, text), f); err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(whole)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(joined)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes joined of %d chunks are not the %d gathered at once", name, len(got), text.Chunks(), len(want))
		}
	}
}

// TestForeignChunk: chunks in the wrong order, or of another text, are not added up.
func TestForeignChunk(t *testing.T) {
	m := small.Open(t)
	text := Text{Kept: windowsOf(m, 1, 9, 9)}
	files := chunkFiles(t, m, text)
	slices.Reverse(files)
	f, err := os.Create(filepath.Join(t.TempDir(), "joined"))
	if err != nil {
		t.Fatal(err)
	}
	err = JoinChunks(context.Background(), m, text, files, f)
	if err == nil || !strings.Contains(err.Error(), "of other tokens") {
		t.Errorf("chunks in the wrong order: %v", err)
	}
}
