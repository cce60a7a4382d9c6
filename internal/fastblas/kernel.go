package fastblas

//go:generate go run -C gen . -pkg fastblas -out ../tiles_amd64.s -stubs ../tiles_amd64.go
//go:generate go run -C gen ./arm64 ..

// float is a number the kernels compute with.
type float interface{ float32 | float64 }

// kernel is a micro-kernel and the block sizes that suit it.
type kernel[T float] struct {
	name       string
	rows, cols int // of the tile of C it holds in registers

	// A panel of A, rows×depth, should stay in the first-level cache, a block of A,
	// height×depth, in the second, and the packed part of B, depth×width, in the
	// third. The larger depth is, the less often C is read and written. Height is a
	// multiple of rows, and width of cols.
	depth, height, width int

	// run sets the tile c, [rows × cols] of row stride ldc, to
	// beta·c + alpha·a·b, where a is packed as [k][rows] and b as [k][cols].
	// With beta = 0 it does not read c.
	run func(k int, a, b *T, alpha, beta T, c *T, ldc int)

	// interleave copies the first columns of the four rows that lie step apart
	// in src to panel, [k][size], as many of the k as suits it, and returns how
	// many those are.
	interleave func(panel, src []T, step, k, size int) int
}

// Kernel names the kernels that this processor runs, on which results depend by
// rounding.
func Kernel() string { return kernels[float64]()[0].name }
