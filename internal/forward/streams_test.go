package forward

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/floatconv"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// TestStreams: residual streams on the disk are those in memory, before and after they
// change, and nothing of them is left.
func TestStreams(t *testing.T) {
	m := testmodel.Llama{}.Open(t)
	windows := tokens.Windows{testmodel.Tokens(9, m.Vocab, 1), testmodel.Tokens(30, m.Vocab, 2), testmodel.Tokens(2, m.Vocab, 3)}
	temp := filepath.Join(t.TempDir(), "streams")
	onDisk, err := newStreams(windows, m.Hidden, floatconv.Binary32, 1, func() string { return temp })
	if err != nil {
		t.Fatal(err)
	}
	inMemory, err := NewStreams(windows, m.Hidden, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Streams{onDisk, inMemory} {
		if err := s.Embed(Decoder{Model: m}, windows); err != nil {
			t.Fatal(err)
		}
		x, err := s.Get(1)
		if err != nil {
			t.Fatal(err)
		}
		x.Data[5]++
		if err := s.Put(1, x); err != nil {
			t.Fatal(err)
		}
	}
	for i := range windows {
		got, err := onDisk.Get(i)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := inMemory.Get(i) // which cannot fail
		if got.Rows != want.Rows || got.Cols != want.Cols || !slices.Equal(got.Data, want.Data) {
			t.Errorf("the stream of window %d, [%d × %d], is not that in memory, [%d × %d]", i, got.Rows, got.Cols, want.Rows, want.Cols)
		}
	}
	for range 2 {
		if err := onDisk.Close(); err != nil {
			t.Errorf("closing failed: %v", err)
		}
	}
	if _, err := os.Lstat(temp); !os.IsNotExist(err) {
		t.Errorf("the file of streams is still there: %v", err)
	}
}

// TestRounded: rounded streams come back as they were, but for the eight bits that BF16 has, and
// the same from memory and from a file.
func TestRounded(t *testing.T) {
	const width = 6
	windows := tokens.Windows{{1, 2, 3}, {4}, {5, 6}}
	inMemory, err := NewRounded(windows, width, nil)
	if err != nil {
		t.Fatal(err)
	}
	onDisk, err := newStreams(windows, width, floatconv.BFloat16, 1, func() string { return filepath.Join(t.TempDir(), "streams") })
	if err != nil {
		t.Fatal(err)
	}
	defer onDisk.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	var want []f32.Matrix
	for i, w := range windows {
		x := f32.New(len(w), width)
		for k := range x.Data {
			x.Data[k] = float32(rng.NormFloat64())
		}
		want = append(want, x)
		if err := errors.Join(inMemory.Put(i, x), onDisk.Put(i, x)); err != nil {
			t.Fatal(err)
		}
	}
	for i, x := range want {
		got, err := onDisk.Get(i)
		if err != nil || got.Rows != x.Rows || got.Cols != x.Cols {
			t.Fatalf("[%d × %d], %v", got.Rows, got.Cols, err)
		}
		for k, v := range x.Data {
			if math.Abs(float64(got.Data[k]-v)) > math.Abs(float64(v))/256 {
				t.Fatalf("%g became %g", v, got.Data[k])
			}
		}
		held, _ := inMemory.Get(i) // which cannot fail
		if !slices.Equal(got.Data, held.Data) {
			t.Errorf("window %d is another in memory", i)
		}
	}
	info, err := onDisk.file.Stat()
	if err != nil || info.Size() != 2*width*int64(windows.Tokens()) {
		t.Errorf("the file has %d bytes, %v", info.Size(), err)
	}
}
