package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
)

// convertFor converts dir once, with sizes that leave nothing to search for.
func convertFor(b *testing.B, dir string) time.Duration {
	b.Helper()
	out := filepath.Join(dir, "out")
	defer os.RemoveAll(out)
	start := time.Now()
	if status, _, stderr := run("convert", "-q", "--calibrate", "none", "--kv-lora-rank", "64", "--rope-dims", "32", "--rope-theta", "1000", dir, out); status != exitDone {
		b.Fatal(stderr)
	}
	return time.Since(start)
}

// copyFor copies a file, as cp does, and puts it on the disk.
func copyFor(b *testing.B, from, to string) time.Duration {
	b.Helper()
	defer os.Remove(to)
	start := time.Now()
	in, err := os.Open(from)
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, struct{ io.Reader }{in}); err != nil { // not by the kernel alone
		b.Fatal(err)
	}
	if err := out.Sync(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// BenchmarkCarried converts a checkpoint of which nearly all is copied, and copies
// the file for comparison, in turn: the ratio of the medians is what counts.
func BenchmarkCarried(b *testing.B) {
	dir := b.TempDir()
	shape := testmodel.Llama{Hidden: 512, Intermediate: 32768, Layers: 12, Heads: 8, KVHeads: 1, HeadDim: 64, Vocab: 1000, Eps: 1e-6, DType: checkpoint.BF16}
	if err := shape.WriteTo(dir); err != nil {
		b.Fatal(err)
	}
	var ours, theirs []time.Duration
	for b.Loop() {
		// what follows a file that was removed waits for the disk: each follows each
		for _, converting := range []bool{false, true, true, false} {
			if converting {
				ours = append(ours, convertFor(b, dir))
			} else {
				theirs = append(theirs, copyFor(b, filepath.Join(dir, checkpoint.SingleFile), filepath.Join(dir, "copy")))
			}
		}
	}
	b.ReportMetric(float64(median(ours))/float64(median(theirs)), "times-a-copy")
}

// BenchmarkLayers converts 2, 4 and 8 layers of one shape: time grows with them.
func BenchmarkLayers(b *testing.B) {
	for _, layers := range []int{2, 4, 8} {
		b.Run(fmt.Sprint(layers), func(b *testing.B) {
			dir := b.TempDir()
			shape := testmodel.Llama{Hidden: 2048, Intermediate: 64, Layers: layers, Heads: 16, KVHeads: 4, HeadDim: 128, Vocab: 1000}
			if err := shape.WriteTo(dir); err != nil {
				b.Fatal(err)
			}
			var times []time.Duration
			for b.Loop() {
				times = append(times, convertFor(b, dir))
			}
			b.ReportMetric(median(times).Seconds()/float64(layers), "s/layer")
		})
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
