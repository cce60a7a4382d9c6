package floatconv

import (
	"math/rand/v2"
	"testing"
)

// elements is how many are converted at a time where files are written.
const elements = 1 << 17

// measure reports how fast f reads and writes, with bytes an element.
func measure(b *testing.B, name string, bytes int, f func()) {
	b.Run(name, func(b *testing.B) {
		for b.Loop() {
			f()
		}
		seconds := b.Elapsed().Seconds() / float64(b.N) / elements
		b.ReportMetric(seconds*1e9, "ns/element")
		b.ReportMetric(float64(bytes)/seconds/1e9, "GB/s")
	})
}

// weights are numbers of the usual size of weights.
func weights() []float64 {
	rng := rand.New(rand.NewPCG(1, 1))
	s := make([]float64, elements)
	for i := range s {
		s[i] = rng.NormFloat64() * 0.02
	}
	return s
}

func BenchmarkEncode(b *testing.B) {
	src := weights()
	for name, s := range shapes {
		dst := make([]byte, elements*s.Size())
		measure(b, name+"/fast", 8+s.Size(), func() { Encode(dst, src, s.Format) })
		measure(b, name+"/plain", 8+s.Size(), func() { encodePlain(dst, src, s.Format) })
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, s := range shapes {
		src := make([]byte, elements*s.Size())
		Encode(src, weights(), s.Format)
		benchmarkDecode[float64](b, name+"/float64", 8, s, src)
		benchmarkDecode[float32](b, name+"/float32", 4, s, src)
	}
}

func benchmarkDecode[T Real](b *testing.B, name string, bytes int, s shape, src []byte) {
	dst := make([]T, elements)
	measure(b, name+"/fast", bytes+s.Size(), func() { Decode(dst, src, s.Format) })
	measure(b, name+"/plain", bytes+s.Size(), func() { decodePlain(dst, src, s.Format) })
}

func BenchmarkFirstNonFinite(b *testing.B) {
	numbers := weights()
	measure(b, "float64", 8, func() { FirstNonFinite(numbers) })
	for name, s := range shapes {
		src := make([]byte, elements*s.Size())
		Encode(src, numbers, s.Format)
		measure(b, name+"/fast", s.Size(), func() { FirstNonFiniteStored(src, s.Format) })
		measure(b, name+"/plain", s.Size(), func() { firstPlain(src, s.Format) })
	}
}
