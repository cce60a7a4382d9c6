package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Both exponentials split x = n·ln 2 + r, |r| ≤ ln 2 / 2, sum a polynomial for e^r and
// put n into the exponent. Where e^x is subnormal n becomes so small that they put zero
// there, where it is too large infinity. NaN stays. See the plain forms in package vector.

// table holds constants in memory, a vector each.
type table struct {
	data Mem
	slot map[string]int
}

// newTable writes constants of a type, by name.
func newTable(name string, constants []named) table {
	t := table{GLOBL(name, RODATA|NOPTR), make(map[string]int)}
	offset := 0
	for i, c := range constants {
		t.slot[c.name] = i
		for end := 32 * (i + 1); offset < end; offset += c.value.Bytes() {
			DATA(offset, c.value)
		}
	}
	return t
}

type named struct {
	name  string
	value Constant
}

func (t table) constant(name string) Mem { return t.data.Offset(32 * t.slot[name]) }

// exp32 is code for e^x of float32.
type exp32 struct {
	table
	lowest, highest VecVirtual
}

var table32, table64 *table // each is written once

func newExp32() exp32 {
	if table32 == nil {
		t := newTable("exp32", []named{
			{"lowest", F32(-127 * math.Ln2)}, {"highest", F32(128 * math.Ln2)},
			{"log2e", F32(math.Log2E)}, {"ln2High", F32(0.693145751953125)}, {"ln2Low", F32(1.428606765330187e-06)},
			{"c7", F32(1.9875691500e-4)}, {"c6", F32(1.3981999507e-3)}, {"c5", F32(8.3334519073e-3)},
			{"c4", F32(4.1665795894e-2)}, {"c3", F32(1.6666665459e-1)}, {"c2", F32(5.0000001201e-1)},
			{"one", F32(1)}, {"bias", U32(127)},
		})
		table32 = &t
	}
	e := exp32{table: *table32}
	e.lowest, e.highest = loaded(e.constant("lowest")), loaded(e.constant("highest"))
	return e
}

// of returns e^x and spoils x.
func (e exp32) of(x VecVirtual) VecVirtual {
	n, y, square := YMM(), YMM(), YMM()
	VMAXPS(x, e.lowest, x) // in this order NaN stays
	VMINPS(x, e.highest, x)
	VMULPS(e.constant("log2e"), x, n)
	VROUNDPS(Imm(nearest), n, n)
	VFNMADD231PS(e.constant("ln2High"), n, x)
	VFNMADD231PS(e.constant("ln2Low"), n, x)
	VMOVUPS(e.constant("c7"), y)
	for _, c := range []string{"c6", "c5", "c4", "c3", "c2"} {
		VFMADD213PS(e.constant(c), x, y)
	}
	VMULPS(x, x, square)
	VFMADD213PS(x, square, y)
	VADDPS(e.constant("one"), y, y)
	VCVTPS2DQ(n, n)
	VPADDD(e.constant("bias"), n, n)
	VPSLLD(Imm(23), n, n)
	VMULPS(n, y, y)
	return y
}

// nearest rounds to nearest even, without exceptions.
const nearest = 8

// exp64 is code for e^x of float64.
type exp64 struct {
	table
	lowest, highest VecVirtual
}

// degree of the polynomial, the series of e^r: what follows is below 1e-14.
const degree = 11

func newExp64() exp64 {
	if table64 == nil {
		constants := []named{
			{"lowest", F64(-1023 * math.Ln2)}, {"highest", F64(1024 * math.Ln2)},
			{"log2e", F64(math.Log2E)}, {"ln2High", F64(6.93147180369123816490e-01)}, {"ln2Low", F64(1.90821492927058770002e-10)},
			{"bias", U64(1023)},
		}
		factorial := 1.0
		for i := range degree + 1 {
			factorial *= max(1, float64(i))
			constants = append(constants, named{coefficient(i), F64(1 / factorial)})
		}
		t := newTable("exp64", constants)
		table64 = &t
	}
	e := exp64{table: *table64}
	e.lowest, e.highest = loaded(e.constant("lowest")), loaded(e.constant("highest"))
	return e
}

func coefficient(i int) string { return string(rune('a' + i)) }

// of returns e^x and spoils x.
func (e exp64) of(x VecVirtual) VecVirtual {
	n, y := YMM(), YMM()
	VMAXPD(x, e.lowest, x)
	VMINPD(x, e.highest, x)
	VMULPD(e.constant("log2e"), x, n)
	VROUNDPD(Imm(nearest), n, n)
	VFNMADD231PD(e.constant("ln2High"), n, x)
	VFNMADD231PD(e.constant("ln2Low"), n, x)
	VMOVUPD(e.constant(coefficient(degree)), y)
	for i := degree - 1; i >= 0; i-- {
		VFMADD213PD(e.constant(coefficient(i)), x, y)
	}
	VCVTPD2DQY(n, n.AsX())
	VPMOVSXDQ(n.AsX(), n)
	VPADDQ(e.constant("bias"), n, n)
	VPSLLQ(Imm(52), n, n)
	VMULPD(n, y, y)
	return y
}
