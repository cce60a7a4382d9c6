package checkpoint

import (
	"math"
	"testing"
)

// TestFirstNonFinite puts NaN and Inf in every place of slices of every length, and
// values beside them that look like it.
func TestFirstNonFinite(t *testing.T) {
	bad := []float64{math.NaN(), math.Inf(1), math.Inf(-1)}
	fine := []float64{0, math.Copysign(0, -1), 1, -1, 65504, -65504, 0x1p-24, 3.14159}
	for _, dtype := range []DType{F64, F32, BF16, F16} {
		size := int(dtype.Size())
		for n := range 20 {
			values := make([]float64, n)
			for i := range values {
				values[i] = fine[(i*5+n)%len(fine)]
			}
			src := make([]byte, n*size)
			if err := encode(src, values, dtype); err != nil {
				t.Fatal(err)
			}
			if got := FirstNonFinite(src, dtype); got != -1 {
				t.Fatalf("%s: %v taken for not finite at %d", dtype, values, got)
			}
			for at := range n {
				for _, v := range bad {
					one := append([]float64(nil), values...)
					one[at] = v
					one[n-1-(n-1-at)/2] = v // another one behind it
					if err := encode(src, one, dtype); err != nil {
						t.Fatal(err)
					}
					if got := FirstNonFinite(src, dtype); got != at {
						t.Fatalf("%s: %v found at %d, want %d", dtype, one, got, at)
					}
				}
			}
		}
	}
}
