package gguf

import (
	"encoding/binary"

	"github.com/mha2mla/mha2mla/internal/floatconv"
)

// The formulas of this file, and their order of operations in single precision, are those of
// dequantize_row_* (ggml-org/llama.cpp: ggml/src/ggml-quants.c, b11434). Products are rounded
// before they are added to, on every processor: that is what the conversions to float32 are
// for.

// half reads a number of 16 bits.
func half(b []byte) float32 {
	var v [1]float32
	floatconv.Decode(v[:], b, floatconv.Binary16)
	return v[0]
}

func decodeF32(dst []float32, b []byte) { floatconv.Decode(dst, b, floatconv.Binary32) }

func decodeF16(dst []float32, b []byte) { floatconv.Decode(dst, b, floatconv.Binary16) }

func decodeBF16(dst []float32, b []byte) { floatconv.Decode(dst, b, floatconv.BFloat16) }

// decodeQ4_0 decodes a scale and 32 numbers of 4 bits, of which 8 means zero. The low halves
// of the bytes come first.
func decodeQ4_0(dst []float32, b []byte) {
	d := half(b)
	for i, q := range b[2:18] {
		dst[i] = float32(int(q&15)-8) * d
		dst[i+16] = float32(int(q>>4)-8) * d
	}
}

// decodeQ4_1 decodes a scale, a minimum and 32 numbers of 4 bits.
func decodeQ4_1(dst []float32, b []byte) {
	d, m := half(b), half(b[2:])
	for i, q := range b[4:20] {
		dst[i] = float32(float32(q&15)*d) + m
		dst[i+16] = float32(float32(q>>4)*d) + m
	}
}

// decodeQ5_0 is decodeQ4_0 with a fifth bit for each number, of which 16 means zero.
func decodeQ5_0(dst []float32, b []byte) {
	d, high := half(b), binary.LittleEndian.Uint32(b[2:])
	for i, q := range b[6:22] {
		dst[i] = float32(int(fifth(q&15, high, i))-16) * d
		dst[i+16] = float32(int(fifth(q>>4, high, i+16))-16) * d
	}
}

// decodeQ5_1 is decodeQ4_1 with a fifth bit for each number.
func decodeQ5_1(dst []float32, b []byte) {
	d, m, high := half(b), half(b[2:]), binary.LittleEndian.Uint32(b[4:])
	for i, q := range b[8:24] {
		dst[i] = float32(float32(fifth(q&15, high, i))*d) + m
		dst[i+16] = float32(float32(fifth(q>>4, high, i+16))*d) + m
	}
}

// fifth adds bit i of high to four bits.
func fifth(low byte, high uint32, i int) byte { return low | byte(high>>i&1)<<4 }

// decodeQ8_0 decodes a scale and 32 signed bytes.
func decodeQ8_0(dst []float32, b []byte) {
	d := half(b)
	for i, q := range b[2:34] {
		dst[i] = float32(int8(q)) * d
	}
}

// scaleAndMin unpacks the j-th of eight scales and minima of 6 bits, which share 12 bytes.
func scaleAndMin(b []byte, j int) (scale, minimum float32) {
	if j < 4 {
		return float32(b[j] & 63), float32(b[j+4] & 63)
	}
	return float32(b[j+4]&15 | b[j-4]>>6<<4), float32(b[j+4]>>4 | b[j]>>6<<4)
}

// decodeQ4_K decodes eight groups of 32 numbers of 4 bits, each with a scale and a minimum.
func decodeQ4_K(dst []float32, b []byte) { decodeK(dst, b, b[16:144], nil) }

// decodeQ5_K is decodeQ4_K with a fifth bit for each number.
func decodeQ5_K(dst []float32, b []byte) { decodeK(dst, b, b[48:176], b[16:48]) }

// decodeK decodes a block of Q4_K, or of Q5_K if there are high bits. Two groups share the
// low and the high halves of 32 bytes.
func decodeK(dst []float32, b, low, high []byte) {
	d, m, scales := half(b), half(b[2:]), b[4:16]
	for group := range 8 {
		scale, minimum := scaleAndMin(scales, group)
		scale, minimum = d*scale, m*minimum
		for i, q := range low[group/2*32:][:32] {
			q = q >> (group % 2 * 4) & 15
			if high != nil {
				q |= high[i] >> group & 1 << 4
			}
			dst[group*32+i] = float32(scale*float32(q)) - minimum
		}
	}
}

// decodeQ6_K decodes sixteen groups of 16 numbers of 6 bits, each with a scale. 32 means zero.
func decodeQ6_K(dst []float32, b []byte) {
	low, high, scales, d := b[:128], b[128:192], b[192:208], half(b[208:])
	for half := range 2 {
		ql, qh, sc := low[half*64:], high[half*32:], scales[half*8:]
		for i := range 32 {
			for part, q := range [4]byte{ql[i] & 15, ql[i+32] & 15, ql[i] >> 4, ql[i+32] >> 4} {
				q |= qh[i] >> (2 * part) & 3 << 4
				scale := d * float32(int8(sc[i/16+2*part]))
				dst[half*128+part*32+i] = scale * float32(int(q)-32)
			}
		}
	}
}
