//go:build unix

package latent

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/mha2mla/mha2mla/internal/f32"
)

// BenchmarkStep takes steps of layers of the shapes of larger models, on one window of
// 2048 random inputs, and reports the processor time of each.
func BenchmarkStep(b *testing.B) {
	for _, s := range []struct {
		name               string
		hidden, heads, dim int
		rank, rotary       int
	}{
		{"1B", 2048, 32, 64, 256, 32},
		{"8B", 4096, 32, 128, 512, 64},
	} {
		b.Run(s.name, func(b *testing.B) {
			const tokens = 2048
			rng := rand.New(rand.NewPCG(1, 2))
			fill := func(rows, cols int) f32.General[float32] {
				m := f32.NewOf[float32](rows, cols)
				for i := range m.Data {
					m.Data[i] = rng.Float32() - 0.5
				}
				return m
			}
			l := &Layer[float32]{
				heads: s.heads, keyHeads: s.heads, contentDim: s.dim, rotaryDim: s.rotary, valueDim: s.dim, interleaved: true, scale: 1e-3,
				frequencies: [][]float64{make([]float64, s.rotary/2)},
				query:       fill(s.heads*(s.dim+s.rotary), s.hidden), rotaryKey: fill(s.rotary, s.hidden), downK: fill(s.rank, s.hidden),
				upK: fill(s.heads*s.dim, s.rank), upV: fill(s.heads*s.dim, s.rank), Output: fill(s.hidden, s.heads*s.dim),
			}
			in := Batch[float32]{X: fill(tokens, s.hidden), Lengths: []int{tokens}}
			optimiser, gradient := NewSoap(l), l.Twin()
			before, n := processorTime(b), 0
			for b.Loop() {
				p := l.Forward(in)
				p.Backward(p.Output, gradient)
				optimiser.Step(gradient, 1e-3)
				n++
			}
			b.ReportMetric((processorTime(b)-before).Seconds()/float64(n), "cpu-s/op")
		})
	}
}

// processorTime is the time that the process has spent on processors.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
