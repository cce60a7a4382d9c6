//go:build (!amd64 && !arm64) || noasm

package fastblas

// kernels returns the kernels that this processor runs, the fastest first.
func kernels[T float]() []kernel[T] { return []kernel[T]{generic[T]()} }

// symvKernel returns the kernel for this processor, or nil.
func symvKernel() symvRows { return nil }
