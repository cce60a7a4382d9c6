package cli

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
)

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

	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	program := filepath.Join(dir, "mha2mla") // the name under which TestMain runs the program
	if err := os.Symlink(self, program); err != nil {
		b.Fatal(err)
	}
	peak := 0.0
	for b.Loop() {
		cmd := exec.Command(program, "convert", "-q", "--calibrate", "none", "--force", dir, filepath.Join(dir, "out"))
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
		peak = max(peak, 1024*float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss))
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
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "mha2mla")
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
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
		cmd := exec.Command(program, append(args, dir, filepath.Join(dir, "out"))...)
		text, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var said struct {
			Memory float64 `json:"memory_bytes"`
		}
		if err := json.Unmarshal(text, &said); err != nil {
			t.Fatal(err)
		}
		peak := 1024 * float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
		t.Logf("%s: peak memory %.0f MB, estimated %.0f MB", name, peak/1e6, said.Memory/1e6)
		if ratio := peak / said.Memory; ratio < 0.7 || ratio > 1.3 {
			t.Errorf("%s: peak memory %.0f MB, estimated %.0f MB", name, peak/1e6, said.Memory/1e6)
		}
	}
}
