package checkpoint

import (
	"fmt"
	"math"

	"github.com/mha2mla/mha2mla/internal/floatconv"
	"github.com/mha2mla/mha2mla/internal/gguf"
)

// DType is the type of a tensor's elements, spelled as the safetensors header
// spells it.
type DType string

// These are the types that the program computes with. It only copies tensors of other
// types.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
)

// Q8_0 is a type that GGUF files alone have: 32 numbers of 8 bits share a scale of 16. Tensors
// are written in it; where they are read they are F32.
const Q8_0 DType = "Q8_0"

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

// Size returns the number of bytes that an element of a float type t takes.
func (t DType) Size() int64 { return int64(dtypeBits[t] / 8) }

// Largest returns the largest finite value of a float type t, or of Q8_0.
func (t DType) Largest() float64 {
	switch t {
	case Q8_0:
		return gguf.Q8Largest
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
type Real = floatconv.Real

// format returns the format in which elements of a float type t are stored.
func (t DType) format() floatconv.Format {
	switch t {
	case F64:
		return floatconv.Binary64
	case F32:
		return floatconv.Binary32
	case F16:
		return floatconv.Binary16
	case BF16:
		return floatconv.BFloat16
	default:
		panic("checkpoint: " + string(t) + " is no float type")
	}
}

// encode converts src to little-endian elements of a float type t in dst, which has room
// for all of them, rounding to nearest even. It returns a rangeError for a finite value
// that would become Inf, because an Inf that nobody hears of would ruin the model.
func encode(dst []byte, src []float64, t DType) error {
	if i := floatconv.Encode(dst, src, t.format()); i >= 0 {
		return &rangeError{index: i, value: src[i], dtype: t}
	}
	return nil
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

// Overflows reports whether a finite v would become infinite if it were written as a float type
// t, or is too large for Q8_0.
func Overflows(v float64, t DType) bool {
	switch {
	case !(math.Abs(v) > t.Largest()) || math.IsInf(v, 0):
		return false
	case t == Q8_0:
		return true
	default:
		return math.IsInf(Round(v, t), 0)
	}
}

// Round returns v as it would read back after it was written as the float type t.
func Round(v float64, t DType) float64 {
	var stored [8]byte
	value := []float64{v}
	floatconv.Encode(stored[:], value, t.format())
	floatconv.Decode(value, stored[:], t.format())
	return value[0]
}
