package checkpoint

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/mha2mla/mha2mla/internal/floatconv"
)

// TestRoundNearestEven holds Round against arbitrary-precision arithmetic.
func TestRoundNearestEven(t *testing.T) {
	formats := map[DType]struct {
		mant        uint    // significant bits
		min, max    float64 // smallest normal, largest finite
		subnormalOf float64 // spacing below min
	}{
		BF16: {8, 0x1p-126, 0x1.fep127, 0x1p-133},
		F16:  {11, 0x1p-14, 65504, 0x1p-24},
		F32:  {24, 0x1p-126, math.MaxFloat32, 0x1p-149},
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for dtype, f := range formats {
		for range 20000 {
			v := math.Ldexp(rng.Float64()*2-1, rng.IntN(60)-40)
			if dtype == BF16 || dtype == F32 {
				v = math.Ldexp(rng.Float64()*2-1, rng.IntN(270)-145)
			}
			if rng.IntN(4) == 0 { // exact ties
				v = math.Float64frombits(math.Float64bits(v)&^(1<<(53-f.mant)-1) | 1<<(52-f.mant))
			}
			if math.Abs(v) > f.max {
				continue
			}
			want, _ := new(big.Float).SetPrec(f.mant).SetMode(big.ToNearestEven).SetFloat64(v).Float64()
			if math.Abs(v) < f.min {
				want = math.RoundToEven(v/f.subnormalOf) * f.subnormalOf
			}
			if math.Abs(want) > f.max {
				continue
			}
			if got := Round(v, dtype); got != want {
				t.Fatalf("%s: Round(%b) = %b, want %b", dtype, v, got, want)
			}
		}
	}
}

func TestEncodeSpecial(t *testing.T) {
	buf := make([]byte, 8)
	for _, dtype := range []DType{F16, BF16, F32, F64} {
		for _, v := range []float64{math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(0, -1)} {
			if err := encode(buf, []float64{v}, dtype); err != nil {
				t.Errorf("%s: writing %v: %v, want no error", dtype, v, err)
			}
			back := make([]float64, 1)
			floatconv.Decode(back, buf, dtype.format())
			if math.IsNaN(v) != math.IsNaN(back[0]) || !math.IsNaN(v) && math.Float64bits(back[0]) != math.Float64bits(v) {
				t.Errorf("%s: %v came back as %v, want the same", dtype, v, back[0])
			}
		}
	}
	for dtype, v := range map[DType]float64{F16: 65520, BF16: 3.4e38, F32: 3.5e38} {
		if err := encode(buf, []float64{v}, dtype); err == nil {
			t.Errorf("%s took %g", dtype, v)
		}
		if err := encode(buf, []float64{v * 0.97}, dtype); err != nil {
			t.Errorf("%s: writing a value just within its range: %v, want no error", dtype, err)
		}
	}
}
