// Command vector writes the kernels of package vector for amd64, with AVX2 and FMA:
// vector_amd64.s and the Go declarations beside it.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// group is how many numbers a turn of a loop takes.
const group = 8

func main() {
	ConstraintExpr("amd64,!noasm")
	maximum()
	exponentials()
	scale()
	gate()
	observe()
	logSums()
	Generate()
}

// begin starts a kernel and returns the register of its first parameter, which counts
// groups.
func begin(name, parameters string, doc ...string) (groups Register) {
	TEXT(name, NOSPLIT, "func(groups int, "+parameters)
	Doc(doc...)
	Pragma("noescape")
	return Load(Param("groups"), GP64())
}

// loop generates a loop of that many turns, after each of which the pointers point to
// the next group of float32.
func loop(name string, turns Register, pointers []Register, body func()) {
	Label(name + "_turn")
	body()
	for _, p := range pointers {
		ADDQ(Imm(4*group), p)
	}
	DECQ(turns)
	JNZ(LabelRef(name + "_turn"))
}

func end() {
	VZEROUPPER()
	RET()
}

func pointer(name string) Register { return Load(Param(name), GP64()) }

func at(p Register) Mem { return Mem{Base: p} }

// zeros returns n registers of zeros.
func zeros(n int) []VecVirtual {
	all := make([]VecVirtual, n)
	for i := range all {
		all[i] = YMM()
		VXORPS(all[i], all[i], all[i])
	}
	return all
}

// everywhere returns a register that repeats a parameter.
func everywhere(name string) VecVirtual {
	basic, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	v := YMM()
	VBROADCASTSS(basic.Addr, v)
	return v
}

// loaded returns a register with what is in memory.
func loaded(from Mem) VecVirtual {
	v := YMM()
	VMOVUPS(from, v)
	return v
}

func maximum() {
	const name = "maximumGroups"
	groups := begin(name, "v *float32, largest *[8]float32)",
		fmt.Sprintf("%s sets largest to the largest of every eighth of groups·%d numbers.", name, group))
	v := pointer("v")
	largest := loaded(at(v))
	loop(name, groups, []Register{v}, func() { VMAXPS(at(v), largest, largest) })
	VMOVUPS(largest, at(pointer("largest")))
	end()
}

func exponentials() {
	const name = "exponentialGroups"
	groups := begin(name, "v *float32, shift float32, sums *[8]float32)",
		fmt.Sprintf("%s replaces groups·%d numbers x by e^(x − shift), and sets sums to", name, group),
		"the sums of every eighth.")
	v, shift, sum := pointer("v"), everywhere("shift"), zeros(1)[0]
	e := newExp32()
	loop(name, groups, []Register{v}, func() {
		x := loaded(at(v))
		VSUBPS(shift, x, x)
		y := e.of(x)
		VMOVUPS(y, at(v))
		VADDPS(y, sum, sum)
	})
	VMOVUPS(sum, at(pointer("sums")))
	end()
}

func scale() {
	const name = "scaleGroups"
	groups := begin(name, "v *float32, factor float32)",
		fmt.Sprintf("%s multiplies groups·%d numbers by factor.", name, group))
	v, factor := pointer("v"), everywhere("factor")
	loop(name, groups, []Register{v}, func() {
		x := YMM()
		VMULPS(at(v), factor, x)
		VMOVUPS(x, at(v))
	})
	end()
}

func gate() {
	const name = "gateGroups"
	groups := begin(name, "v, up *float32, linear, cubic float32)",
		fmt.Sprintf("%s replaces groups·%d numbers v by v/(1 + e^(linear·v + cubic·v³))·up.", name, group))
	g, up := pointer("v"), pointer("up")
	linear, cubic := everywhere("linear"), everywhere("cubic")
	e := newExp32()
	loop(name, groups, []Register{g, up}, func() {
		v, x := loaded(at(g)), YMM()
		VMULPS(v, v, x)
		VFMADD213PS(linear, cubic, x) // cubic·g² + linear
		VMULPS(v, x, x)
		y := e.of(x)
		VADDPS(e.constant("one"), y, y)
		VDIVPS(y, v, v)
		VMULPS(at(up), v, v)
		VMOVUPS(v, at(g))
	})
	end()
}

func observe() {
	const name = "observeGroups"
	groups := begin(name, "near, seen, far, a, d *float32)",
		fmt.Sprintf("%s adds a to near, a² to seen and a²·d to far, in groups·%d numbers;", name, group),
		"a negative d counts as zero.")
	near, seen, far, a, d := pointer("near"), pointer("seen"), pointer("far"), pointer("a"), pointer("d")
	zero := zeros(1)[0]
	loop(name, groups, []Register{near, seen, far, a, d}, func() {
		v, distance, sum := loaded(at(a)), loaded(at(d)), YMM()
		VADDPS(at(near), v, sum)
		VMOVUPS(sum, at(near))
		VMULPS(v, v, v)
		VADDPS(at(seen), v, sum)
		VMOVUPS(sum, at(seen))
		VMAXPS(distance, zero, distance) // in this order NaN stays
		VFMADD213PS(at(far), v, distance)
		VMOVUPS(distance, at(far))
	})
	end()
}

func logSums() {
	const name = "logSumGroups"
	groups := begin(name, "p, q *float32, largest *[2]float64, sums *[3][4]float64)",
		fmt.Sprintf("%s sets sums to those of e^(p − largest[0]), of that times p − q, and of", name),
		fmt.Sprintf("e^(q − largest[1]), of every fourth of groups·%d numbers.", group))
	p, q, largest := pointer("p"), pointer("q"), pointer("largest")
	shiftP, shiftQ, sum := YMM(), YMM(), zeros(3)
	VBROADCASTSD(at(largest), shiftP)
	VBROADCASTSD(Mem{Base: largest, Disp: 8}, shiftQ)
	e := newExp64()
	loop(name, groups, []Register{p, q}, func() {
		for half := 0; half < 4*group; half += 16 {
			x, y, difference := YMM(), YMM(), YMM()
			VCVTPS2PD(Mem{Base: p, Disp: half}, x)
			VCVTPS2PD(Mem{Base: q, Disp: half}, y)
			VSUBPD(y, x, difference)
			VSUBPD(shiftP, x, x)
			VSUBPD(shiftQ, y, y)
			ep, eq := e.of(x), e.of(y)
			VADDPD(ep, sum[0], sum[0])
			VFMADD231PD(difference, ep, sum[1])
			VADDPD(eq, sum[2], sum[2])
		}
	})
	sums := pointer("sums")
	for i, s := range sum {
		VMOVUPD(s, Mem{Base: sums, Disp: 32 * i})
	}
	end()
}
