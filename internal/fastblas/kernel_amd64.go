//go:build !noasm

package fastblas

import "golang.org/x/sys/cpu"

// kernels returns the kernels that this processor runs, the fastest first.
func kernels[T float]() []kernel[T] {
	var list []any
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ {
		list = append(list,
			kernel[float32]{
				name: "avx512", rows: 12, cols: 32,
				depth: 512, height: 240, width: 3072,
				run: avx512F32, interleave: interleave32,
			},
			kernel[float64]{
				name: "avx512", rows: 12, cols: 16,
				depth: 384, height: 120, width: 3072,
				run: avx512F64, interleave: interleave64,
			},
		)
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		list = append(list,
			kernel[float32]{
				name: "avx2", rows: 6, cols: 16,
				depth: 256, height: 192, width: 2048,
				run: avx2F32, interleave: interleave32,
			},
			kernel[float64]{
				name: "avx2", rows: 6, cols: 8,
				depth: 256, height: 96, width: 2048,
				run: avx2F64, interleave: interleave64,
			},
		)
	}
	var found []kernel[T]
	for _, k := range list {
		if k, ok := k.(kernel[T]); ok {
			found = append(found, k)
		}
	}
	return append(found, generic[T]())
}

func interleave32(panel, src []float32, step, k, size int) int {
	if k >= 8 {
		avxInterleave32(k/8, &src[0], step, &panel[0], size)
	}
	return k &^ 7
}

func interleave64(panel, src []float64, step, k, size int) int {
	if k >= 4 {
		avxInterleave64(k/4, &src[0], step, &panel[0], size)
	}
	return k &^ 3
}
