// Package floatconv decides how stored floating-point numbers are rounded.
//
// It converts between the formats in which numbers are stored and float32 and float64, at
// the speed of memory. Every weight that is computed with passes through it, in and out. It
// has kernels because plain loops take longer than reading the file.
//
// Stored numbers are little-endian. Rounding is to nearest even, once, from 64 bits,
// whatever the processor; a number beyond the largest becomes infinite. NaN stays NaN: a
// canonical one in 16 bits, a quiet one in float64.
package floatconv
