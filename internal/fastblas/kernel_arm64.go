//go:build !noasm

package fastblas

// kernels returns the kernels that this processor runs, the fastest first. All
// of this architecture have NEON.
func kernels[T float]() []kernel[T] {
	var found []kernel[T]
	for _, k := range []any{
		kernel[float32]{
			name: "neon", rows: 8, cols: 12,
			depth: 256, height: 128, width: 3072,
			run: neonF32, interleave: interleaveNone[float32],
		},
		kernel[float64]{
			name: "neon", rows: 8, cols: 6,
			depth: 256, height: 64, width: 3072,
			run: neonF64, interleave: interleaveNone[float64],
		},
	} {
		if k, ok := k.(kernel[T]); ok {
			found = append(found, k)
		}
	}
	return append(found, generic[T]())
}

// symvKernel returns the kernel for this processor, or nil.
func symvKernel() symvRows { return nil }
