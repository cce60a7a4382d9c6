//go:build !noasm

package fastblas

import "golang.org/x/sys/cpu"

// symvKernel returns the kernel for this processor, or nil.
func symvKernel() symvRows {
	if !cpu.X86.HasAVX2 || !cpu.X86.HasFMA {
		return nil
	}
	return func(a []float64, step int, x, y []float64, factors, sums *[4]float64) int {
		avx2Symv(len(x)/4, &a[0], step, &x[0], &y[0], factors, sums)
		return len(x) &^ 3
	}
}
