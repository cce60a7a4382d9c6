// Command floatconv writes the kernels of package floatconv for amd64:
// kernels_amd64.s and the Go declarations beside it.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// group is how many elements a turn of a loop converts.
const group = 16

func main() {
	ConstraintExpr("amd64,!noasm")
	decoder{name: "brainTo32", types: "bfloat16 to float32", from: 2, to: 4, read: brain}.generate()
	decoder{name: "brainTo64", types: "bfloat16 to float64", from: 2, to: 8, read: brain}.generate()
	decoder{name: "halfTo32", types: "binary16 to float32", from: 2, to: 4, read: half}.generate()
	decoder{name: "halfTo64", types: "binary16 to float64", from: 2, to: 8, read: half}.generate()
	decoder{name: "singleTo64", types: "binary32 to float64", from: 4, to: 8, read: single}.generate()
	decoder{name: "doubleTo32", types: "binary64 to float32", from: 8, to: 4, read: double}.generate()
	encoder{name: "roundBrain", to: "bfloat16", but: "subnormal, infinite or NaN", size: 2, write: toBrain}.generate()
	encoder{name: "roundHalf", to: "binary16", but: "infinite or NaN", size: 2, write: toHalf}.generate()
	encoder{name: "roundSingle", to: "binary32", but: "infinite", size: 4, write: toSingle}.generate()
	finite()
	Generate()
}

// decoder is a kernel that converts a stored format.
type decoder struct {
	name, types string
	from, to    int                           // bytes of an element
	read        func(from Mem, to VecVirtual) // to float32
}

func (d decoder) generate() {
	TEXT(d.name, NOSPLIT, "func(groups int, dst, src *byte)")
	Doc(fmt.Sprintf("%s converts groups·%d elements from %s. groups is positive.", d.name, group, d.types))
	Pragma("noescape")
	groups, dst, src := Load(Param("groups"), GP64()), Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	Label(d.name + "_turn")
	lanes := 32 / max(d.from, d.to)
	for i := 0; i < group; i += lanes {
		v := XMM()
		if lanes == 8 {
			v = YMM()
		}
		d.read(Mem{Base: src, Disp: i * d.from}, v)
		if d.to == 8 {
			wide := YMM()
			VCVTPS2PD(v, wide)
			v = wide
		}
		VMOVUPS(v, Mem{Base: dst, Disp: i * d.to})
	}
	ADDQ(U32(uint32(group*d.from)), src)
	ADDQ(U32(uint32(group*d.to)), dst)
	DECQ(groups)
	JNZ(LabelRef(d.name + "_turn"))
	VZEROUPPER()
	RET()
}

func brain(from Mem, to VecVirtual) {
	VPMOVZXWD(from, to)
	VPSLLD(Imm(16), to, to)
}

func half(from Mem, to VecVirtual)   { VCVTPH2PS(from, to) }
func single(from Mem, to VecVirtual) { VMOVUPS(from, to) }
func double(from Mem, to VecVirtual) { VCVTPD2PSY(from, to) }

// encoder is a kernel that rounds to a stored format.
type encoder struct {
	name, to, but string
	size          int // bytes of an element

	// write returns the code that rounds a group from src to dst and returns a
	// vector that is zero unless the group needs care. Calling it sets up what
	// is the same in every turn.
	write func() func(dst, src Register) VecVirtual
}

func (e encoder) generate() {
	TEXT(e.name, NOSPLIT, "func(groups int, dst, src *byte) int")
	Doc(
		fmt.Sprintf("%s rounds groups·%d float64 once, to nearest even, to %s, but", e.name, group, e.to),
		fmt.Sprintf("stops at a group with elements that become %s.", e.but),
		"It returns how many groups are done. groups is positive.",
	)
	Pragma("noescape")
	groups, dst, src := Load(Param("groups"), GP64()), Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	body := e.write()
	stopping(e.name, groups, func() VecVirtual { return body(dst, src) }, func() {
		ADDQ(U32(group*8), src)
		ADDQ(U32(uint32(group*e.size)), dst)
	})
}

// stopping generates a loop that ends after the given number of turns, or where
// body returns a vector that is not zero, and returns the number of turns before.
func stopping(name string, turns Register, body func() VecVirtual, advance func()) {
	done := GP64()
	XORQ(done, done)
	Label(name + "_turn")
	special := body()
	VPTEST(special, special)
	JNZ(LabelRef(name + "_stop"))
	advance()
	INCQ(done)
	CMPQ(done, turns)
	JNE(LabelRef(name + "_turn"))
	Label(name + "_stop")
	Store(done, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// toSingle rounds in one instruction, subnormals included.
func toSingle() func(dst, src Register) VecVirtual {
	magnitude, infinity := repeat(0x7fffffff7fffffff), repeat(0x7f8000007f800000)
	return func(dst, src Register) VecVirtual {
		var special [2]VecVirtual
		for i := range special {
			v := joined(func(j int, to Op) { VCVTPD2PSY(Mem{Base: src, Disp: 64*i + 32*j}, to) })
			VMOVUPS(v, Mem{Base: dst, Disp: 32 * i})
			VPAND(v, magnitude, v)
			VPCMPEQD(v, infinity, v)
			special[i] = v
		}
		VPOR(special[0], special[1], special[0])
		return special[0]
	}
}

// toHalf rounds to odd in single precision, then to nearest even in one
// instruction, subnormals included.
func toHalf() func(dst, src Register) VecVirtual {
	toOdd, infinity := roundToOdd(), repeat(0x7c007c007c007c00)
	return func(dst, src Register) VecVirtual {
		v := joined(func(i int, to Op) {
			VCVTPS2PH(Imm(0), joined(func(j int, to Op) { toOdd(Mem{Base: src, Disp: 64*i + 32*j}, to) }), to)
		})
		VMOVUPS(v, Mem{Base: dst})
		VPAND(v, infinity, v)
		VPCMPEQW(v, infinity, v)
		return v
	}
}

// toBrain rounds to odd in single precision, then to nearest even on its bits.
// The numbers that are subnormal in single precision are those that are so in
// bfloat16; their rounding to odd fails.
func toBrain() func(dst, src Register) VecVirtual {
	toOdd, zero, one := roundToOdd(), repeat(0), repeat(0x0000000100000001)
	magnitude, halfway := repeat(0x7fffffff7fffffff), repeat(0x00007fff00007fff)
	normal, large := repeat(0x0080000000800000), repeat(0x7f7f7fff7f7f7fff) // the first, and the last that does not become infinite
	return func(dst, src Register) VecVirtual {
		var rounded, special [2]VecVirtual
		for i := range rounded {
			v := joined(func(j int, to Op) { toOdd(Mem{Base: src, Disp: 64*i + 32*j}, to) })
			size, small, positive := YMM(), YMM(), YMM()
			VPAND(v, magnitude, size)
			VPCMPGTD(size, normal, small)
			VPCMPGTD(zero, size, positive)
			VPAND(positive, small, small)
			VPCMPGTD(large, size, size)
			VPOR(small, size, size)
			special[i] = size

			last := YMM()
			VPSRLD(Imm(16), v, last)
			VPAND(last, one, last)
			VPADDD(halfway, v, v)
			VPADDD(last, v, v)
			VPSRLD(Imm(16), v, v)
			rounded[i] = v
		}
		VPOR(special[0], special[1], special[0])
		VPACKUSDW(rounded[1], rounded[0], rounded[0]) // quarters 0 2 1 3
		VPERMQ(Imm(0b11011000), rounded[0], rounded[0])
		VMOVUPS(rounded[0], Mem{Base: dst})
		return special[0]
	}
}

// roundToOdd returns code that rounds four float64 to float32 such that another
// rounding, to fewer bits, rounds correctly: what is lost sets the last bit that
// is kept. (S. Boldo and G. Melquiond, Emulation of FMA and correctly rounded
// sums: proved algorithms using rounding to odd, IEEE Trans. Computers 57, 2008.)
func roundToOdd() func(from Mem, to Op) {
	lost := repeat(1<<29 - 1)
	return func(from Mem, to Op) {
		v, carry := YMM(), YMM()
		VMOVUPS(from, v)
		VPAND(v, lost, carry)
		VPADDQ(lost, carry, carry) // bit 29 is set where something is lost
		VPOR(v, carry, v)
		VPANDN(v, lost, v)
		VCVTPD2PSY(v, to)
	}
}

// joined returns the register whose halves are what half writes.
func joined(half func(i int, to Op)) VecVirtual {
	v, high := YMM(), XMM()
	half(0, v.AsX())
	half(1, high)
	VINSERTF128(Imm(1), high, v, v)
	return v
}

// finite generates the search for exponents that are all ones. Those of every
// format lie within 16 bits.
func finite() {
	const name, bytes = "finiteGroups", 128
	TEXT(name, NOSPLIT, "func(groups int, src *byte, exponents uint64) int")
	Doc(
		fmt.Sprintf("%s returns how many groups of %d bytes there are before one in which", name, bytes),
		"an element is infinite or NaN; exponents are the bits of the exponents in 64",
		"bits. groups is positive.",
	)
	Pragma("noescape")
	groups, src := Load(Param("groups"), GP64()), Load(Param("src"), GP64())
	mask := spread(Load(Param("exponents"), GP64()))
	stopping(name, groups, func() VecVirtual {
		var found [bytes / 32]VecVirtual
		for i := range found {
			found[i] = YMM()
			VPAND(Mem{Base: src, Disp: 32 * i}, mask, found[i])
			VPCMPEQW(found[i], mask, found[i])
			VPAND(found[i], mask, found[i]) // 16 bits without exponent are always equal
		}
		VPOR(found[0], found[1], found[0])
		VPOR(found[2], found[3], found[2])
		VPOR(found[0], found[2], found[0])
		return found[0]
	}, func() { ADDQ(U32(bytes), src) })
}

// repeat returns a register that repeats 64 bits.
func repeat(bits uint64) VecVirtual {
	r := GP64()
	MOVQ(U64(bits), r)
	return spread(r)
}

func spread(r Register) VecVirtual {
	v := YMM()
	VMOVQ(r, v.AsX())
	VPBROADCASTQ(v.AsX(), v)
	return v
}
