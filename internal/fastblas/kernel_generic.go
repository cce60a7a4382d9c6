package fastblas

import "unsafe"

// generic is the kernel for processors that no other is for. Its tile is so small that its
// sums have a chance to stay in registers.
func generic[T float]() kernel[T] {
	return kernel[T]{
		name: "generic", rows: genericRows, cols: genericCols,
		depth: 256, height: 128, width: 2048,
		run: genericTile[T], interleave: interleaveNone[T],
	}
}

// interleaveNone leaves all of the columns to Go.
func interleaveNone[T float]([]T, []T, int, int, int) int { return 0 }

const genericRows, genericCols = 2, 4

// genericTile is the run of generic.
func genericTile[T float](k int, a, b *T, alpha, beta T, c *T, ldc int) {
	var c00, c01, c02, c03, c10, c11, c12, c13 T
	as := unsafe.Slice(a, k*genericRows)
	bs := unsafe.Slice(b, k*genericCols)
	for len(as) >= genericRows && len(bs) >= genericCols {
		a0, a1 := as[0], as[1]
		b0, b1, b2, b3 := bs[0], bs[1], bs[2], bs[3]
		c00 += a0 * b0
		c01 += a0 * b1
		c02 += a0 * b2
		c03 += a0 * b3
		c10 += a1 * b0
		c11 += a1 * b1
		c12 += a1 * b2
		c13 += a1 * b3
		as, bs = as[genericRows:], bs[genericCols:]
	}
	cs := unsafe.Slice(c, ldc+genericCols)
	genericRow(cs[:genericCols], alpha, beta, c00, c01, c02, c03)
	genericRow(cs[ldc:], alpha, beta, c10, c11, c12, c13)
}

// genericRow sets c to beta·c + alpha·sums.
func genericRow[T float](c []T, alpha, beta T, s0, s1, s2, s3 T) {
	_ = c[3]
	if beta == 0 {
		c[0], c[1], c[2], c[3] = alpha*s0, alpha*s1, alpha*s2, alpha*s3
		return
	}
	c[0] = beta*c[0] + alpha*s0
	c[1] = beta*c[1] + alpha*s1
	c[2] = beta*c[2] + alpha*s2
	c[3] = beta*c[3] + alpha*s3
}
