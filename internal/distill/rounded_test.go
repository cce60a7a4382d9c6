package distill

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// TestRounded: streams come back as they were, but for the eight bits that BF16 has, from memory
// and from a file, which is gone in the end.
func TestRounded(t *testing.T) {
	const width, layers = 6, 3
	windows := tokens.Windows{{1, 2, 3}, {4}, {5, 6}}
	file := filepath.Join(t.TempDir(), "streams")
	onDisk, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	inMemory, err := newRounded(windows, width, layers, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*rounded{"memory": inMemory, "file": {width: width, offset: inMemory.offset, file: onDisk}} {
		rng := rand.New(rand.NewPCG(1, 2))
		want := make(map[[2]int]f32.Matrix)
		for n := range layers {
			for i, w := range windows {
				x := f32.New(len(w), width)
				for k := range x.Data {
					x.Data[k] = float32(rng.NormFloat64())
				}
				want[[2]int{n, i}] = x
				if err := r.put(n, i, x); err != nil {
					t.Fatal(err)
				}
			}
		}
		for place, x := range want {
			got, err := r.get(place[0], place[1])
			if err != nil || got.Rows != x.Rows || got.Cols != x.Cols {
				t.Fatalf("%s: [%d × %d], %v", name, got.Rows, got.Cols, err)
			}
			for k, v := range x.Data {
				if math.Abs(float64(got.Data[k]-v)) > math.Abs(float64(v))/256 {
					t.Fatalf("%s: %g became %g", name, v, got.Data[k])
				}
			}
		}
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the file stays: %v", err)
	}
}
