// Command gen writes the micro-kernels of package fastblas for amd64:
// tiles_amd64.s and the Go declarations beside it. It is a module of its own so that the
// assembler it is written in is no dependency of the program.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	tile{name: "avx2F32", float: "float32", size: 4, rows: 6, vectors: 2, width: 32}.generate()
	tile{name: "avx2F64", float: "float64", size: 8, rows: 6, vectors: 2, width: 32}.generate()
	tile{name: "avx512F32", float: "float32", size: 4, rows: 12, vectors: 2, width: 64}.generate()
	tile{name: "avx512F64", float: "float64", size: 8, rows: 12, vectors: 2, width: 64}.generate()
	interleave("avxInterleave32", "float32", 4)
	interleave("avxInterleave64", "float64", 8)
	symv()
	Generate()
}

// tile is one micro-kernel: a block of C of rows × vectors·width bytes, held in
// registers while the inner dimension runs.
type tile struct {
	name, float string
	size        int // bytes of a number
	rows        int
	vectors     int // vector registers of a row
	width       int // bytes of a vector register: 32 (AVX2) or 64 (AVX-512)
}

// unroll is how many steps of the inner dimension a turn of the loop takes.
const unroll = 4

func (t tile) generate() {
	columns := t.vectors * t.width / t.size
	TEXT(t.name, NOSPLIT, fmt.Sprintf("func(k int, a, b *%[1]s, alpha, beta %[1]s, c *%[1]s, ldc int)", t.float))
	Doc(
		fmt.Sprintf("%s sets the %d×%d tile c, of row stride ldc, to beta·c + alpha·A·B,", t.name, t.rows, columns),
		fmt.Sprintf("where a holds A packed as [k][%d] and b holds B packed as [k][%d].", t.rows, columns),
		"With beta = 0 the tile is not read.",
	)
	Pragma("noescape")
	k := Load(Param("k"), GP64())
	a := Load(Param("a"), GP64())
	b := Load(Param("b"), GP64())
	c := Load(Param("c"), GP64())
	ldc := Load(Param("ldc"), GP64())
	SHLQ(Imm(uint64(log2(t.size))), ldc)
	t.prefetch(c, ldc)
	t.clear()
	t.loop(k, a, b)
	t.store(c, ldc)
	VZEROUPPER()
	RET()
}

// prefetch asks for the rows of C, which are needed when the loop is over.
func (t tile) prefetch(c, ldc Register) {
	row := GP64()
	MOVQ(c, row)
	for range t.rows {
		for v := 0; v < t.vectors*t.width; v += 64 {
			PREFETCHT0(Mem{Base: row, Disp: v})
		}
		ADDQ(ldc, row)
	}
}

func (t tile) clear() {
	for i := range t.rows {
		for v := range t.vectors {
			r := t.sum(i, v)
			if t.width == 64 {
				VPXORQ(r, r, r)
			} else {
				VXORPS(r, r, r)
			}
		}
	}
}

// loop adds the outer products of the k columns of A and rows of B.
func (t tile) loop(k, a, b Register) {
	turns := GP64()
	MOVQ(k, turns)
	SHRQ(Imm(uint64(log2(unroll))), turns)
	JZ(LabelRef(t.name + "_rest"))
	Label(t.name + "_turn")
	for u := range unroll {
		t.step(a, b, u)
	}
	t.advance(a, b, unroll)
	DECQ(turns)
	JNZ(LabelRef(t.name + "_turn"))

	Label(t.name + "_rest")
	ANDQ(Imm(unroll-1), k)
	JZ(LabelRef(t.name + "_done"))
	Label(t.name + "_single")
	t.step(a, b, 0)
	t.advance(a, b, 1)
	DECQ(k)
	JNZ(LabelRef(t.name + "_single"))
	Label(t.name + "_done")
}

// step adds the outer product number u after the pointers a and b.
func (t tile) step(a, b Register, u int) {
	row := t.vectors * t.width
	for v := range t.vectors {
		t.move(Mem{Base: b, Disp: u*row + v*t.width}, t.vector(t.other()+v))
	}
	for i := range t.rows {
		// two registers in turn let the next broadcast start early
		factor := t.vector(t.other() + t.vectors + i%2)
		t.broadcast(Mem{Base: a, Disp: (u*t.rows + i) * t.size}, factor)
		for v := range t.vectors {
			t.fma(t.vector(t.other()+v), factor, t.sum(i, v))
		}
	}
}

func (t tile) advance(a, b Register, steps int) {
	ADDQ(U32(uint32(steps*t.rows*t.size)), a)
	ADDQ(U32(uint32(steps*t.vectors*t.width)), b)
}

// store writes alpha·sum + beta·C, and alpha·sum alone where beta is zero.
func (t tile) store(c, ldc Register) {
	alpha, beta := t.vector(t.other()), t.vector(t.other()+1)
	t.broadcast(parameter("alpha"), alpha)
	t.broadcast(parameter("beta"), beta)
	for i := range t.rows {
		for v := range t.vectors {
			t.mul(alpha, t.sum(i, v), t.sum(i, v))
		}
	}
	// all bits but the sign are zero exactly where beta is
	bits := GP64()
	if t.size == 4 {
		MOVL(parameter("beta"), bits.As32())
		SHLL(Imm(1), bits.As32())
	} else {
		MOVQ(parameter("beta"), bits)
		SHLQ(Imm(1), bits)
	}
	JZ(LabelRef(t.name + "_write"))

	row := GP64()
	MOVQ(c, row)
	for i := range t.rows {
		for v := range t.vectors {
			t.fma(Mem{Base: row, Disp: v * t.width}, beta, t.sum(i, v))
		}
		ADDQ(ldc, row)
	}

	Label(t.name + "_write")
	for i := range t.rows {
		for v := range t.vectors {
			t.move(t.sum(i, v), Mem{Base: c, Disp: v * t.width})
		}
		ADDQ(ldc, c)
	}
}

// other is the number of the first register that holds no sum.
func (t tile) other() int { return t.rows * t.vectors }

// sum is the register of vector v of row i of the tile.
func (t tile) sum(i, v int) VecPhysical { return t.vector(i*t.vectors + v) }

func log2(n int) int {
	bits := 0
	for n >>= 1; n > 0; n >>= 1 {
		bits++
	}
	return bits
}

func parameter(name string) Op {
	basic, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return basic.Addr
}
