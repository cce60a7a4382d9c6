package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
)

// runForPeak runs the program in a process of its own and returns what it printed, and its peak
// memory in bytes.
func runForPeak(tb testing.TB, args ...string) ([]byte, float64) {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	program := filepath.Join(dir, "mha2mla-peak") // the name under which TestMain runs mainWithPeak
	if err := os.Symlink(self, program); err != nil {
		tb.Fatal(err)
	}
	left := filepath.Join(dir, "status")
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Stderr = append(os.Environ(), peakFile+"="+left), os.Stderr
	text, err := cmd.Output()
	if err != nil {
		tb.Fatalf("%q: %v", args, err)
	}
	status, err := os.ReadFile(left)
	if err != nil {
		tb.Fatal(err)
	}
	_, line, found := strings.Cut(string(status), "VmHWM:")
	var kilobytes float64
	if _, err := fmt.Sscan(line, &kilobytes); !found || err != nil {
		tb.Fatalf("no peak in %q: %v", status, err)
	}
	return text, 1024 * kilobytes
}

// BenchmarkConvertMemory converts a checkpoint of more than 2 GB in a process of
// its own and reports that process's peak memory beside what is allowed: 300 MB,
// three times the attention of a layer, and the largest tensor.
func BenchmarkConvertMemory(b *testing.B) {
	dir := b.TempDir()
	shape := testmodel.Llama{Hidden: 2048, Intermediate: 5632, Layers: 11, Heads: 32, KVHeads: 4, HeadDim: 64, Vocab: 32000}
	if err := shape.WriteTo(dir); err != nil {
		b.Fatal(err)
	}
	src, err := checkpoint.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	attention, largest, total := int64(0), int64(0), int64(0)
	for _, name := range []string{family.QProj, family.KProj, family.VProj, family.OProj} {
		attention += src.Lookup(family.InLayer(0, name)).Bytes()
	}
	for _, t := range src.Tensors() {
		largest, total = max(largest, t.Bytes()), total+t.Bytes()
	}
	if total < 2e9 {
		b.Fatalf("a checkpoint of %d bytes", total)
	}
	allowed := 300e6 + 3*float64(attention) + float64(largest)

	peak := 0.0
	for b.Loop() {
		_, p := runForPeak(b, "convert", "-q", "--calibrate", "none", "--force", dir, filepath.Join(dir, "out"))
		peak = max(peak, p)
	}
	b.ReportMetric(peak/1e6, "peak-MB")
	b.ReportMetric(allowed/1e6, "allowed-MB")
	if peak > allowed {
		b.Errorf("peak memory %.0f MB, allowed %.0f MB", peak/1e6, allowed/1e6)
	}
}

// TestMemoryEstimate converts in a process of its own and compares its peak with the estimate.
// For small layers it collects garbage as if it had little memory; for large ones it does so
// unasked.
func TestMemoryEstimate(t *testing.T) {
	if testing.Short() {
		t.Skip("converts layers of a size that counts")
	}
	for name, c := range map[string]struct {
		model testmodel.Llama
		flags []string
	}{
		"half the rank":    {testmodel.Llama{Hidden: 1024, Heads: 16, HeadDim: 64}, []string{"--kv-lora-rank", "512", "--memory", "80MB"}},
		"all of it":        {testmodel.Llama{Hidden: 1024, Heads: 16, HeadDim: 64}, []string{"--kv-lora-rank", "1024", "--memory", "80MB"}},
		"compressed query": {testmodel.Llama{Hidden: 2048, Heads: 16, KVHeads: 4, HeadDim: 128}, []string{"--kv-lora-rank", "256", "--q-lora", "64", "--memory", "80MB"}},
		"a large layer":    {testmodel.Llama{Hidden: 4096, Heads: 32, KVHeads: 8, HeadDim: 128}, []string{"--kv-lora-rank", "512"}},
	} {
		c.model.Layers, c.model.Vocab = 1, 100
		dir := c.model.Write(t)
		args := append([]string{"convert", "--calibrate", "none", "--json", "--jobs", "1", "--rope-dims", "32", "--rope-theta", "1000"}, c.flags...)
		text, peak := runForPeak(t, append(args, dir, filepath.Join(dir, "out"))...)
		var said struct {
			Memory float64 `json:"memory_bytes"`
		}
		if err := json.Unmarshal(text, &said); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: peak memory %.0f MB, estimated %.0f MB", name, peak/1e6, said.Memory/1e6)
		if ratio := peak / said.Memory; ratio < 0.7 || ratio > 1.3 {
			t.Errorf("%s: peak memory %.0f MB, estimated %.0f MB", name, peak/1e6, said.Memory/1e6)
		}
	}
}
