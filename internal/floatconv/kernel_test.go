//go:build (amd64 || arm64) && !noasm

package floatconv

import "testing"

// TestKernelsGoOn gives the kernels nothing to stop at: one that stopped would
// leave its work to plain code, right and slow.
func TestKernelsGoOn(t *testing.T) {
	if !vectors {
		t.Skip("this processor has no kernels")
	}
	const n = 64 * group
	values := make([]float64, n)
	for i := range values {
		values[i] = float64(i%100) * 0x1p-20 // zeros among them
	}
	for name, s := range shapes {
		stored := make([]byte, n*s.Size())
		for what, got := range map[string]int{
			"encoded":            encodeGroups(stored, values, s.Format),
			"decoded to float64": decodeGroups(make([]float64, n), stored, s.Format),
			"decoded to float32": decodeGroups(make([]float32, n), stored, s.Format),
			"found finite":       finiteBytes(stored, s.Format) / s.Size(),
		} {
			if got != n {
				t.Errorf("%s: %d %s of %d", name, got, what, n)
			}
		}
	}
}
