package floatconv

import (
	"encoding/binary"
	"math"
)

// decodePlain is Decode without kernels.
func decodePlain[T Real](dst []T, src []byte, f Format) {
	switch f {
	case Binary64:
		for i := range dst {
			dst[i] = T(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
		}
	case Binary32:
		for i := range dst {
			dst[i] = T(math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:])))
		}
	case Binary16:
		for i := range dst {
			dst[i] = T(fromHalf(binary.LittleEndian.Uint16(src[2*i:])))
		}
	case BFloat16:
		for len(dst) >= 4 && len(src) >= 8 { // four of them in a word
			word := binary.LittleEndian.Uint64(src)
			dst[0] = T(math.Float32frombits(uint32(word) << 16))
			dst[1] = T(math.Float32frombits(uint32(word) &^ 0xffff))
			dst[2] = T(math.Float32frombits(uint32(word>>32) << 16))
			dst[3] = T(math.Float32frombits(uint32(word>>32) &^ 0xffff))
			dst, src = dst[4:], src[8:]
		}
		for i := range dst {
			dst[i] = T(math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16))
		}
	}
}

// fromHalf widens an IEEE binary16 exactly; NaN becomes quiet, as in hardware.
func fromHalf(h uint16) float32 {
	sign, size := uint32(h&0x8000)<<16, uint32(h&0x7fff)<<13
	switch {
	case size > 0x7c00<<13:
		size |= 0x7fc00000
	case size == 0x7c00<<13:
		size = 0x7f800000
	case size < 0x0400<<13: // read it as the fraction of a number from 2^-14 on, then subtract 2^-14
		size = math.Float32bits(math.Float32frombits(size+(127-14)<<23) - 0x1p-14)
	default:
		size += (127 - 15) << 23
	}
	return math.Float32frombits(sign | size)
}

// encodePlain is Encode without kernels.
func encodePlain(dst []byte, src []float64, f Format) (overflow int) {
	switch f {
	case Binary64:
		for i, v := range src {
			binary.LittleEndian.PutUint64(dst[8*i:], math.Float64bits(v))
		}
		return -1
	case Binary32:
		return encode32(dst, src)
	case Binary16:
		return encode16(dst, src, &half)
	default:
		return encode16(dst, src, &brain)
	}
}

// encode32 is encodePlain for Binary32.
func encode32(dst []byte, src []float64) (overflow int) {
	overflow = -1
	for i, v := range src {
		b := math.Float32bits(float32(v))
		if b&0x7fffffff == 0x7f800000 && !math.IsInf(v, 0) && overflow < 0 {
			overflow = i
		}
		binary.LittleEndian.PutUint32(dst[4*i:], b)
	}
	return overflow
}

// narrow describes a format of 16 bits by the numbers that rounding to it needs.
type narrow struct {
	drop          uint    // how many bits shorter its fraction is than that of float64
	rebias        uint64  // by how much its stored exponents are smaller, in place
	normal        uint64  // the bits of its smallest normal number as a float64
	beyond        uint64  // the bits of the least float64 that becomes infinite
	units         float64 // a number whose last bit is worth the smallest subnormal
	infinity, nan uint16
}

var (
	half = narrow{
		drop: 52 - 10, rebias: (1023 - 15) << 10,
		normal: math.Float64bits(0x1p-14), beyond: math.Float64bits(0x1.ffep15),
		units: 0x1p52 * 0x1p-24, infinity: 0x7c00, nan: 0x7e00,
	}
	brain = narrow{
		drop: 52 - 7, rebias: (1023 - 127) << 7,
		normal: math.Float64bits(0x1p-126), beyond: math.Float64bits(0x1.ffp127),
		units: 0x1p52 * 0x1p-133, infinity: 0x7f80, nan: 0x7fc0,
	}
)

// encode16 is encodePlain for a format of 16 bits.
func encode16(dst []byte, src []float64, f *narrow) (overflow int) {
	overflow = -1
	drop, rebias, normal, span := f.drop&63, f.rebias, f.normal, f.beyond-f.normal
	below := uint64(1)<<(drop-1) - 1 // half of the last bit that stays, but for one
	for i, v := range src {
		bits := math.Float64bits(v)
		sign, size := uint16(bits>>48)&0x8000, bits&^(1<<63)
		b := sign | uint16((size+below+size>>drop&1)>>drop-rebias)
		if size-normal >= span { // it is no normal number of the format, as few are
			b = f.outside(size, sign)
			if b&0x7fff == f.infinity && size != infinite && overflow < 0 {
				overflow = i
			}
		}
		binary.LittleEndian.PutUint16(dst[2*i:], b)
	}
	return overflow
}

const infinite = 0x7ff0000000000000 // the bits of infinity as a float64

// outside rounds a number that is no normal number of the format, given as the bits
// of its absolute value and its sign.
func (f *narrow) outside(size uint64, sign uint16) uint16 {
	switch {
	case size > infinite:
		return f.nan
	case size >= f.beyond:
		return sign | f.infinity
	default: // the sum counts the number in smallest subnormals, and the hardware rounds it
		return sign | uint16(math.Float64bits(math.Float64frombits(size)+f.units))
	}
}

// lanes describes 64 bits that hold several elements of a format.
type lanes struct {
	exponents uint64 // all ones in NaN and infinity
	ones      uint64 // the lowest bit of each
	tops      uint64 // the highest
}

var inLanes = [...]lanes{
	Binary64: {0x7ff0000000000000, 1, 1 << 63},
	Binary32: {0x7f8000007f800000, 0x0000000100000001, 0x8000000080000000},
	Binary16: {0x7c007c007c007c00, 0x0001000100010001, 0x8000800080008000},
	BFloat16: {0x7f807f807f807f80, 0x0001000100010001, 0x8000800080008000},
}

// firstPlain is FirstNonFiniteStored without kernels.
func firstPlain(src []byte, f Format) int {
	lane, size := inLanes[f], f.Size()
	at := 0
	for ; at+8 <= len(src); at += 8 { // several elements at a time
		// Lanes whose exponent is all ones become zero, and the condition finds a zero.
		v := binary.LittleEndian.Uint64(src[at:])&lane.exponents ^ lane.exponents
		if (v-lane.ones)&^v&lane.tops != 0 {
			break
		}
	}
	for ; at < len(src); at += size {
		var word [8]byte
		copy(word[:], src[at:at+size])
		exponent := lane.exponents & (1<<(8*size) - 1)
		if binary.LittleEndian.Uint64(word[:])&exponent == exponent {
			return at / size
		}
	}
	return -1
}
