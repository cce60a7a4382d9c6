package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// symv generates the work of four rows of a symmetric matrix, each number of
// which is read once for both of the products it takes part in.
func symv() {
	const name = "avx2Symv"
	TEXT(name, NOSPLIT, "func(groups int, a *float64, step int, x, y *float64, factors, sums *[4]float64)")
	Doc(
		"avx2Symv reads 4·groups columns of the four rows that lie step apart in a. It",
		"adds factorsᵀ·a to y, and sets sums to a·x.",
	)
	Pragma("noescape")
	groups := Load(Param("groups"), GP64())
	a := Load(Param("a"), GP64())
	step := Load(Param("step"), GP64())
	x := Load(Param("x"), GP64())
	y := Load(Param("y"), GP64())
	factors := Load(Param("factors"), GP64())
	SHLQ(Imm(3), step)
	step3 := GP64()
	LEAQ(Mem{Base: step, Index: step, Scale: 2}, step3)
	rows := []Mem{{Base: a}, {Base: a, Index: step, Scale: 1}, {Base: a, Index: step, Scale: 2}, {Base: a, Index: step3, Scale: 1}}
	var factor, sum [4]VecVirtual
	for i := range rows {
		factor[i], sum[i] = YMM(), YMM()
		VBROADCASTSD(Mem{Base: factors, Disp: 8 * i}, factor[i])
		VXORPD(sum[i], sum[i], sum[i])
	}

	Label(name + "_group")
	xs, ys := YMM(), YMM()
	VMOVUPD(Mem{Base: x}, xs)
	VMOVUPD(Mem{Base: y}, ys)
	for i, at := range rows {
		v := YMM()
		VMOVUPD(at, v)
		VFMADD231PD(v, xs, sum[i])
		VFMADD231PD(v, factor[i], ys)
	}
	VMOVUPD(ys, Mem{Base: y})
	for _, p := range []Register{a, x, y} {
		ADDQ(Imm(32), p)
	}
	DECQ(groups)
	JNZ(LabelRef(name + "_group"))

	sums := Load(Param("sums"), GP64())
	VHADDPD(sum[1], sum[0], sum[0])
	VHADDPD(sum[3], sum[2], sum[2])
	low, high := YMM(), YMM()
	VPERM2F128(Imm(0x20), sum[2], sum[0], low)
	VPERM2F128(Imm(0x31), sum[2], sum[0], high)
	VADDPD(low, high, low)
	VMOVUPD(low, Mem{Base: sums})
	VZEROUPPER()
	RET()
}
