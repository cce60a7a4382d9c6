package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

var (
	ymm = []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15}
	zmm = []VecPhysical{
		Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
		Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31,
	}
)

// vector is vector register number i. They are placed by hand: a tile uses all
// but a few, which leaves an allocator nothing to choose.
func (t tile) vector(i int) VecPhysical {
	if t.width == 64 {
		return zmm[i]
	}
	return ymm[i]
}

func (t tile) move(from, to Op) {
	if t.size == 4 {
		VMOVUPS(from, to)
	} else {
		VMOVUPD(from, to)
	}
}

func (t tile) broadcast(from, to Op) {
	if t.size == 4 {
		VBROADCASTSS(from, to)
	} else {
		VBROADCASTSD(from, to)
	}
}

// fma adds x·y to sum.
func (t tile) fma(x, y, sum Op) {
	if t.size == 4 {
		VFMADD231PS(x, y, sum)
	} else {
		VFMADD231PD(x, y, sum)
	}
}

func (t tile) mul(x, y, to Op) {
	if t.size == 4 {
		VMULPS(x, y, to)
	} else {
		VMULPD(x, y, to)
	}
}
