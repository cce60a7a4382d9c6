package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// interleave generates the packing of rows: four at a time, transposed in
// registers a group of columns at once, 8 for float32 and 4 for float64.
func interleave(name, float string, size int) {
	TEXT(name, NOSPLIT, fmt.Sprintf("func(groups int, src *%[1]s, step int, dst *%[1]s, size int)", float))
	Doc(
		fmt.Sprintf("%s copies %d·groups columns of four rows, which lie step apart in src,", name, 32/size),
		"to dst, where the four numbers of a column are neighbours and columns lie",
		"size apart.",
	)
	Pragma("noescape")
	groups := Load(Param("groups"), GP64())
	src := Load(Param("src"), GP64())
	step := Load(Param("step"), GP64())
	dst := Load(Param("dst"), GP64())
	column := Load(Param("size"), GP64())
	SHLQ(Imm(uint64(log2(size))), step)
	SHLQ(Imm(uint64(log2(size))), column)
	step3 := GP64()
	LEAQ(Mem{Base: step, Index: step, Scale: 2}, step3)
	column3 := GP64()
	LEAQ(Mem{Base: column, Index: column, Scale: 2}, column3)

	Label(name + "_group")
	var rows [4]VecVirtual
	for i, at := range []Mem{{Base: src}, {Base: src, Index: step, Scale: 1}, {Base: src, Index: step, Scale: 2}, {Base: src, Index: step3, Scale: 1}} {
		rows[i] = YMM()
		VMOVUPS(at, rows[i])
	}
	ADDQ(Imm(32), src)
	low := []Mem{{Base: dst}, {Base: dst, Index: column, Scale: 1}, {Base: dst, Index: column, Scale: 2}, {Base: dst, Index: column3, Scale: 1}}
	if size == 4 {
		columns := transpose32(rows)
		for i, at := range low {
			VMOVUPS(columns[i].AsX(), at)
		}
		LEAQ(Mem{Base: dst, Index: column, Scale: 4}, dst)
		for i, at := range low {
			VEXTRACTF128(Imm(1), columns[i], at)
		}
	} else {
		columns := transpose64(rows)
		for i, at := range low {
			VMOVUPD(columns[i], at)
		}
	}
	LEAQ(Mem{Base: dst, Index: column, Scale: 4}, dst)
	DECQ(groups)
	JNZ(LabelRef(name + "_group"))
	VZEROUPPER()
	RET()
}

// transpose32 returns columns 0|4, 1|5, 2|6 and 3|7, one in each half of a
// register.
func transpose32(rows [4]VecVirtual) (columns [4]VecVirtual) {
	pairs := [4]VecVirtual{YMM(), YMM(), YMM(), YMM()}
	VUNPCKLPS(rows[1], rows[0], pairs[0])
	VUNPCKHPS(rows[1], rows[0], pairs[1])
	VUNPCKLPS(rows[3], rows[2], pairs[2])
	VUNPCKHPS(rows[3], rows[2], pairs[3])
	for i := range columns {
		columns[i] = YMM()
	}
	VUNPCKLPD(pairs[2], pairs[0], columns[0])
	VUNPCKHPD(pairs[2], pairs[0], columns[1])
	VUNPCKLPD(pairs[3], pairs[1], columns[2])
	VUNPCKHPD(pairs[3], pairs[1], columns[3])
	return columns
}

// transpose64 returns columns 0 to 3.
func transpose64(rows [4]VecVirtual) (columns [4]VecVirtual) {
	pairs := [4]VecVirtual{YMM(), YMM(), YMM(), YMM()}
	VUNPCKLPD(rows[1], rows[0], pairs[0])
	VUNPCKHPD(rows[1], rows[0], pairs[1])
	VUNPCKLPD(rows[3], rows[2], pairs[2])
	VUNPCKHPD(rows[3], rows[2], pairs[3])
	for i := range columns {
		columns[i] = YMM()
	}
	VPERM2F128(Imm(0x20), pairs[2], pairs[0], columns[0])
	VPERM2F128(Imm(0x20), pairs[3], pairs[1], columns[1])
	VPERM2F128(Imm(0x31), pairs[2], pairs[0], columns[2])
	VPERM2F128(Imm(0x31), pairs[3], pairs[1], columns[3])
	return columns
}
