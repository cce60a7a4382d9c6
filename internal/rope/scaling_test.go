package rope

import (
	"math"
	"slices"
	"testing"
)

// TestScaling holds frequencies against their definition,
// llama3 with the factors of Llama 3.1 for heads of 128 at base 500000.
func TestScaling(t *testing.T) {
	llama3 := &Scaling{Kind: "llama3", Factor: 8, Original: 8192, Low: 1, High: 4}
	plain, scaled := Frequencies(500000, 128), llama3.Frequencies(500000, 128)
	if scaled[0] != 1 || math.Abs(scaled[63]-plain[63]/8) > 1e-15 {
		t.Errorf("the ends turn at %g and %g", scaled[0], scaled[63])
	}
	for i, omega := range plain { // the definition, wavelength by wavelength
		wavelength, want := 2*math.Pi/omega, omega
		if wavelength > 8192 {
			want = omega / 8
		} else if wavelength > 2048 {
			smooth := (8192/wavelength - 1) / 3
			want = (1-smooth)*omega/8 + smooth*omega
		}
		if math.Abs(scaled[i]-want) > 1e-15 {
			t.Errorf("pair %d turns at %g, want %g", i, scaled[i], want)
		}
	}
	linear := (&Scaling{Kind: "linear", Factor: 4}).Frequencies(10000, 8)
	for i, omega := range Frequencies(10000, 8) {
		if linear[i] != omega/4 {
			t.Errorf("pair %d turns at %g", i, linear[i])
		}
	}
	if !slices.Equal((*Scaling)(nil).Frequencies(10000, 8), Frequencies(10000, 8)) {
		t.Error("no scaling changes something")
	}
}

// TestBasesFor: frequencies that follow from a base have its candidates alone;
// scaled ones also those of the base that reaches as far.
func TestBasesFor(t *testing.T) {
	if got, want := BasesFor(10000, Frequencies(10000, 64), 32), Bases(10000, 64, 32); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	s := &Scaling{Kind: "llama3", Factor: 8, Original: 8192, Low: 1, High: 4}
	bases := BasesFor(500000, s.Frequencies(500000, 128), 128)
	reaches := slices.ContainsFunc(bases, func(b float64) bool {
		last := Frequencies(b, 128)[63]
		return math.Abs(last/s.Frequencies(500000, 128)[63]-1) < 1e-6
	})
	if !reaches || !slices.Contains(bases, 500000) {
		t.Errorf("bases %v", bases)
	}
}
