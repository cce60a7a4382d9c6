package floatconv

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// shape is a format in the words of IEEE 754.
type shape struct {
	Format
	exponent, fraction int // bits
}

var shapes = map[string]shape{
	"binary64": {Binary64, 11, 52},
	"binary32": {Binary32, 8, 23},
	"binary16": {Binary16, 5, 10},
	"bfloat16": {BFloat16, 8, 7},
}

func (s shape) infinity() uint64 { return (1<<s.exponent - 1) << s.fraction }

// value is what the bits of a number mean. One beyond the largest number it is the
// power of two that would follow.
func (s shape) value(bits uint64) float64 {
	sign, size := bits>>(s.exponent+s.fraction), bits&(1<<(s.exponent+s.fraction)-1)
	exponent, fraction := int(size>>s.fraction), size&(1<<s.fraction-1)
	bias := 1<<(s.exponent-1) - 1
	if exponent == 0 {
		exponent = 1
	} else {
		fraction |= 1 << s.fraction
	}
	return math.Copysign(math.Ldexp(float64(fraction), exponent-bias-s.fraction), -float64(sign)+0.5)
}

func (s shape) put(dst []byte, bits uint64) {
	var word [8]byte
	binary.LittleEndian.PutUint64(word[:], bits)
	copy(dst[:s.Size()], word[:])
}

func (s shape) get(src []byte) uint64 {
	var word [8]byte
	copy(word[:], src[:s.Size()])
	return binary.LittleEndian.Uint64(word[:])
}

// TestDecodeEvery decodes every number of 16 bits.
func TestDecodeEvery(t *testing.T) {
	for _, name := range []string{"binary16", "bfloat16"} {
		s := shapes[name]
		src := make([]byte, 2<<16)
		for bits := range 1 << 16 {
			s.put(src[2*bits:], uint64(bits))
		}
		t.Run(name+"/float64", func(t *testing.T) { decodeEvery[float64](t, s, src) })
		t.Run(name+"/float32", func(t *testing.T) { decodeEvery[float32](t, s, src) })
	}
}

func decodeEvery[T Real](t *testing.T, s shape, src []byte) {
	dst := make([]T, len(src)/s.Size())
	for _, by := range []func([]T, []byte, Format){Decode[T], decodePlain[T]} {
		by(dst, src, s.Format)
		for bits, got := range dst {
			want := s.value(uint64(bits))
			if size := uint64(bits) & 0x7fff; size == s.infinity() {
				want = math.Copysign(math.Inf(1), want)
			} else if size > s.infinity() {
				want = math.NaN()
			}
			if same := math.Float64bits(float64(got)) == math.Float64bits(want); !same && !(got != got && want != want) {
				t.Fatalf("%#04x is %g, want %g", bits, got, want)
			}
		}
	}
}

// TestEncodeNeighbours rounds numbers of a format, the numbers halfway between
// them and their next, and the float64 beside all these: for 16 bits every one.
func TestEncodeNeighbours(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"binary32", "binary16", "bfloat16"} {
		t.Run(name, func(t *testing.T) {
			s := shapes[name]
			var sizes []uint64 // from zero to the largest
			if s.Size() == 2 {
				for size := range s.infinity() {
					sizes = append(sizes, size)
				}
			} else {
				for exponent := range s.infinity() >> s.fraction {
					for range 40 {
						sizes = append(sizes, exponent<<s.fraction|rng.Uint64()>>(64-s.fraction))
					}
					sizes = append(sizes, exponent<<s.fraction, (exponent+1)<<s.fraction-1)
				}
			}
			rng.Shuffle(len(sizes), func(i, j int) { sizes[i], sizes[j] = sizes[j], sizes[i] })
			encodeNeighbours(t, s, sizes)
		})
	}
}

func encodeNeighbours(t *testing.T, s shape, sizes []uint64) {
	var src []float64
	var want []uint64
	overflow := -1
	for _, size := range sizes {
		low, high := s.value(size), s.value(size+1)
		middle := low + (high-low)/2
		even := size + size&1
		for v, rounded := range map[float64]uint64{
			low: size, math.Nextafter(low, high): size, math.Nextafter(middle, low): size, middle: even,
			math.Nextafter(middle, high): size + 1, math.Nextafter(high, low): size + 1, high: size + 1,
		} {
			sign := uint64(len(src) & 1)
			if rounded == s.infinity() && overflow < 0 {
				overflow = len(src)
			}
			src = append(src, math.Copysign(v, 0.5-float64(sign)))
			want = append(want, rounded|sign<<(s.exponent+s.fraction))
		}
	}
	dst := make([]byte, len(src)*s.Size())
	for _, by := range []func([]byte, []float64, Format) int{Encode, encodePlain} {
		clear(dst)
		if got := by(dst, src, s.Format); got != overflow {
			t.Errorf("overflow at %d, want %d", got, overflow)
		}
		for i, v := range src {
			if got := s.get(dst[i*s.Size():]); got != want[i] {
				t.Fatalf("%b becomes %#x, want %#x", v, got, want[i])
			}
		}
	}
}

// TestOverflow puts a number that is too large in every place behind infinities and
// NaN, which are no overflow, and before another.
func TestOverflow(t *testing.T) {
	for name, large := range map[string]float64{"binary32": 0x1.ffffffp127, "binary16": 65520, "bfloat16": -0x1.ffp127} {
		s := shapes[name]
		for n := range 70 {
			for at := -1; at < n; at++ {
				src, dst := make([]float64, n), make([]byte, n*s.Size())
				for i := range src {
					src[i] = []float64{1, math.Inf(1), -0x1p-130, math.NaN(), math.Inf(-1)}[i*n%5]
					if i == at || at >= 0 && i == (at+n)/2 {
						src[i] = large
					}
				}
				if got := Encode(dst, src, s.Format); got != at {
					t.Fatalf("%s: overflow at %d of %v, want %d", name, got, src, at)
				}
				for i, v := range src {
					got := s.get(dst[i*s.Size():])
					size := got &^ (1 << (s.exponent + s.fraction))
					if v != v && size <= s.infinity() || (math.IsInf(v, 0) || v == large) && size != s.infinity() {
						t.Fatalf("%s: %g becomes %#x", name, v, got)
					}
				}
			}
		}
	}
}

// TestSpecial holds numbers that have one right answer and no neighbours.
func TestSpecial(t *testing.T) {
	negative := math.Copysign(0, -1)
	for _, c := range []struct {
		name string
		v    float64
		want uint64
	}{
		{"binary16", negative, 0x8000}, {"bfloat16", negative, 0x8000}, {"binary32", negative, 0x80000000}, {"binary64", negative, 1 << 63},
		{"binary16", math.Inf(-1), 0xfc00}, {"bfloat16", math.Inf(-1), 0xff80}, {"binary32", math.Inf(-1), 0xff800000},
		{"binary16", math.Copysign(math.NaN(), -1), 0x7e00}, {"bfloat16", math.Copysign(math.NaN(), -1), 0x7fc0},
		{"binary16", math.Float64frombits(0x7ff0000000000001), 0x7e00}, {"bfloat16", math.Float64frombits(0x7ff0000000000001), 0x7fc0},
		{"binary16", -5e-324, 0x8000}, {"bfloat16", -5e-324, 0x8000}, {"binary32", -5e-324, 0x80000000}, {"binary64", -5e-324, 1<<63 | 1},
	} {
		s := shapes[c.name]
		src := make([]float64, 33)
		for i := range src {
			src[i] = c.v
		}
		dst := make([]byte, len(src)*s.Size())
		if got := Encode(dst, src, s.Format); got != -1 {
			t.Errorf("%s %g: overflow at %d", c.name, c.v, got)
		}
		for i := range src {
			if got := s.get(dst[i*s.Size():]); got != c.want {
				t.Fatalf("%s: %g becomes %#x, want %#x", c.name, c.v, got, c.want)
			}
		}
	}
}

// TestFirstNonFinite puts NaN and infinity in every place of slices of every
// length, and values beside them that look like it.
func TestFirstNonFinite(t *testing.T) {
	bad := []float64{math.NaN(), math.Inf(1), math.Inf(-1)}
	fine := []float64{0, math.Copysign(0, -1), 1, -1, 65504, -65504, 0x1p-24, 3.14159}
	for name, s := range shapes {
		for _, n := range []int{0, 1, 2, 3, 7, 15, 16, 17, 63, 64, 65, 130, 201} {
			values := make([]float64, n)
			for i := range values {
				values[i] = fine[(i*5+n)%len(fine)]
			}
			for at := -1; at < n; at++ {
				one := append([]float64(nil), values...)
				if at >= 0 {
					one[(at+n)/2] = bad[(at+1)%3] // another one behind it
					one[at] = bad[at%3]
				}
				src := make([]byte, n*s.Size())
				Encode(src, one, s.Format)
				if got := FirstNonFiniteStored(src, s.Format); got != at {
					t.Fatalf("%s: stored %v found at %d, want %d", name, one, got, at)
				}
				if got := firstPlain(src, s.Format); got != at {
					t.Fatalf("%s: stored %v found at %d without kernels, want %d", name, one, got, at)
				}
				if got := FirstNonFinite(one); got != at {
					t.Fatalf("%v found at %d, want %d", one, got, at)
				}
				single := make([]float32, n)
				Decode(single, src, s.Format)
				if got := FirstNonFinite(single); got != at {
					t.Fatalf("%v found at %d, want %d", single, got, at)
				}
			}
		}
	}
}

// TestPaths converts random bits of all lengths at all alignments.
func TestPaths(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for n := range 71 {
		for round := range 100 {
			bits := make([]byte, 8*n)
			for i := range bits {
				bits[i] = byte(rng.Uint32())
			}
			if round%2 == 0 { // numbers of a usual size
				for i := range n {
					binary.LittleEndian.PutUint64(bits[8*i:], math.Float64bits(rng.NormFloat64()*math.Exp2(-float64(round/4))))
				}
			}
			bothPaths(t, bits)
		}
	}
}

// FuzzPaths compares the kernels with plain code.
func FuzzPaths(f *testing.F) {
	f.Add(make([]byte, 300))
	f.Fuzz(bothPaths)
}

// bothPaths takes bits for numbers of every format, and converts them with
// kernels and without.
func bothPaths(t *testing.T, bits []byte) {
	for name, s := range shapes {
		n := len(bits) / s.Size()
		at := n % 8
		src := append(make([]byte, at), bits...)[at:] // not aligned
		decodePaths[float64](t, s, n, src)
		decodePaths[float32](t, s, n, src)
		if got, want := FirstNonFiniteStored(src[:n*s.Size()], s.Format), firstPlain(src[:n*s.Size()], s.Format); got != want {
			t.Fatalf("%s: not finite at %d with kernels, %d without", name, got, want)
		}

		values := make([]float64, len(bits)/8)
		decodePlain(values, bits, Binary64)
		var results [2]string
		for i, by := range []func([]byte, []float64, Format) int{Encode, encodePlain} {
			dst := make([]byte, at+len(values)*s.Size()+64)
			overflow := by(dst[at:], values, s.Format)
			results[i] = fmt.Sprintf("%x, overflow at %d", dst, overflow)
		}
		if results[0] != results[1] {
			t.Fatalf("%s: %g with kernels becomes\n%s, without\n%s", name, values, results[0], results[1])
		}
	}
}

func decodePaths[T Real](t *testing.T, s shape, n int, src []byte) {
	got, want := make([]T, n+8), make([]T, n+8) // what lies behind stays zero
	Decode(got[:n], src, s.Format)
	decodePlain(want[:n], src, s.Format)
	for i := range got {
		if bitsOf(got[i]) != bitsOf(want[i]) {
			t.Fatalf("%x is %g with kernels, %g without, at %d of %d", src, got[i], want[i], i, n)
		}
	}
}

// bitsOf returns all bits of v, those of NaN too.
func bitsOf[T Real](v T) uint64 {
	switch v := any(v).(type) {
	case float32:
		return uint64(math.Float32bits(v))
	default:
		return math.Float64bits(v.(float64))
	}
}
