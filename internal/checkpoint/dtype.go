package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
)

// DType is the type of a tensor's elements, spelled as the safetensors header
// spells it.
type DType string

// The types the program computes with. Every other one is only copied.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
)

// dtypeBits lists every type of the safetensors format and the bits an element
// of it takes.
var dtypeBits = map[DType]uint64{
	"BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
	"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
	F16: 16, BF16: 16, F32: 32, F64: 64, "C64": 64,
}

// Known reports whether t is a type of the safetensors format.
func (t DType) Known() bool { return dtypeBits[t] != 0 }

// Float reports whether the program computes with tensors of type t.
func (t DType) Float() bool { return t == F64 || t == F32 || t == F16 || t == BF16 }

// Size is the number of bytes an element of a float type t takes.
func (t DType) Size() int64 { return int64(dtypeBits[t] / 8) }

// Largest is the largest finite value of float type t.
func (t DType) Largest() float64 {
	switch t {
	case F16:
		return 65504
	case BF16:
		return 0x1.fep127
	case F32:
		return math.MaxFloat32
	default:
		return math.MaxFloat64
	}
}

// Real is the element type of decoded tensors.
type Real interface{ float32 | float64 }

// decode converts the little-endian elements of float type t in src to dst.
func decode[T Real](dst []T, src []byte, t DType) {
	switch t {
	case F64:
		for i := range dst {
			dst[i] = T(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
		}
	case F32:
		for i := range dst {
			dst[i] = T(math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:])))
		}
	case BF16:
		for i := range dst {
			dst[i] = T(math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16))
		}
	case F16:
		for i := range dst {
			dst[i] = T(halfToFloat(binary.LittleEndian.Uint16(src[2*i:])))
		}
	default:
		panic("checkpoint: decode of " + string(t))
	}
}

// encode converts src to little-endian elements of float type t in dst,
// rounding to nearest even. A finite value that t has no finite neighbour for
// is an error: silently writing Inf would ruin the model.
func encode(dst []byte, src []float64, t DType) error {
	overflow := -1
	switch t {
	case F64:
		for i, v := range src {
			binary.LittleEndian.PutUint64(dst[8*i:], math.Float64bits(v))
		}
	case F32:
		for i, v := range src {
			b := math.Float32bits(float32(v))
			if b&0x7fffffff == 0x7f800000 && !math.IsInf(v, 0) && overflow < 0 {
				overflow = i
			}
			binary.LittleEndian.PutUint32(dst[4*i:], b)
		}
	case BF16:
		overflow = encode16(dst, src, floatToBrain, 0x7f80)
	case F16:
		overflow = encode16(dst, src, floatToHalf, 0x7c00)
	default:
		panic("checkpoint: encode to " + string(t))
	}
	if overflow >= 0 {
		return &rangeError{index: overflow, value: src[overflow], dtype: t}
	}
	return nil
}

// encode16 encodes to a type of 16 bits whose infinity is inf. It returns the
// index of the first finite value that became infinite, or -1.
func encode16(dst []byte, src []float64, round func(float64) uint16, inf uint16) int {
	overflow := -1
	for i, v := range src {
		b := round(v)
		if b&0x7fff == inf && !math.IsInf(v, 0) && overflow < 0 {
			overflow = i
		}
		binary.LittleEndian.PutUint16(dst[2*i:], b)
	}
	return overflow
}

// rangeError says that element index of a slice does not fit its type.
type rangeError struct {
	index int
	value float64
	dtype DType
}

func (e *rangeError) Error() string {
	return fmt.Sprintf("%g does not fit %s", e.value, e.dtype)
}

// Round returns v as it reads back after being written as t.
func Round(v float64, t DType) float64 {
	switch t {
	case F32:
		return float64(float32(v))
	case BF16:
		return float64(math.Float32frombits(uint32(floatToBrain(v)) << 16))
	case F16:
		return float64(halfToFloat(floatToHalf(v)))
	default:
		return v
	}
}

// roundBits rounds v to nearest even, once, to mant explicit mantissa bits and
// the subnormals of a type whose smallest normal number is 2^minExp.
func roundBits(v float64, mant, minExp int) float64 {
	if bits := math.Float64bits(v); int(bits>>52&0x7ff)-1023 >= minExp {
		if bits>>52&0x7ff == 0x7ff {
			return v // NaN or Inf
		}
		drop := 52 - mant
		bits += 1<<(drop-1) - 1 + bits>>drop&1
		return math.Float64frombits(bits &^ (1<<drop - 1))
	}
	ulp := math.Ldexp(1, minExp-mant)
	return math.RoundToEven(v/ulp) * ulp
}

// floatToBrain rounds v once, from 64 bits, to bfloat16.
func floatToBrain(v float64) uint16 {
	if math.IsNaN(v) {
		return 0x7fc0
	}
	return uint16(math.Float32bits(float32(roundBits(v, 7, -126))) >> 16)
}

// floatToHalf rounds v once, from 64 bits, to IEEE binary16.
func floatToHalf(v float64) uint16 {
	sign := uint16(math.Float64bits(v) >> 48 & 0x8000)
	switch r := math.Abs(roundBits(v, 10, -14)); {
	case math.IsNaN(v):
		return 0x7e00
	case r > 65504:
		return sign | 0x7c00
	case r < 0x1p-14:
		return sign | uint16(r*0x1p24)
	default:
		frac, exp := math.Frexp(r)
		return sign | uint16(exp+14)<<10 | uint16((frac*2-1)*1024)
	}
}

// halfToFloat widens an IEEE binary16 exactly.
func halfToFloat(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp, frac := uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exp {
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	case 0:
		return math.Float32frombits(math.Float32bits(float32(frac)*0x1p-24) | sign)
	default:
		return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
	}
}
