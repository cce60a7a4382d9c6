package floatconv

//go:generate go run -C ../fastblas/gen ./floatconv -pkg floatconv -out ../../floatconv/kernels_amd64.s -stubs ../../floatconv/kernels_amd64.go
//go:generate go run -C ../fastblas/gen ./floatconv/arm64 ../../floatconv

// Real is what stored numbers are converted to.
type Real interface{ float32 | float64 }

// Format is the format of a stored number.
type Format int

// The formats of IEEE 754, and bfloat16: the upper half of Binary32.
const (
	Binary64 Format = iota
	Binary32
	Binary16
	BFloat16
)

// Size returns the number of bytes of an element.
func (f Format) Size() int {
	switch f {
	case Binary64:
		return 8
	case Binary32:
		return 4
	default:
		return 2
	}
}

// Decode sets dst to the first len(dst) elements of src. It panics if src is shorter.
func Decode[T Real](dst []T, src []byte, f Format) {
	size := f.Size()
	src = src[:len(dst)*size]
	done := decodeGroups(dst, src, f)
	decodePlain(dst[done:], src[done*size:], f)
}

// stretch is how many elements are left to plain code where a kernel stops. They are more
// than one of its groups, so that little time is lost where many elements make it stop.
const stretch = 64

// Encode rounds src to nearest even into the first len(src) elements of dst. It returns the
// index of the first finite value that became infinite, or -1. All elements are written even
// so. It panics if dst is shorter.
func Encode(dst []byte, src []float64, f Format) (overflow int) {
	size := f.Size()
	dst = dst[:len(src)*size]
	overflow = -1
	for at := 0; at < len(src); {
		at += encodeGroups(dst[at*size:], src[at:], f)
		end := min(at+stretch, len(src))
		if i := encodePlain(dst[at*size:], src[at:end], f); i >= 0 && overflow < 0 {
			overflow = at + i
		}
		at = end
	}
	return overflow
}

// FirstNonFinite returns the index of the first element of s that is NaN or
// infinite, or -1.
func FirstNonFinite[T Real](s []T) int {
	done := finiteElements(s)
	for i, v := range s[done:] {
		if v-v != 0 {
			return done + i
		}
	}
	return -1
}

// FirstNonFiniteStored is FirstNonFinite for stored elements of format f.
func FirstNonFiniteStored(src []byte, f Format) int {
	done := finiteBytes(src, f)
	if i := firstPlain(src[done:], f); i >= 0 {
		return done/f.Size() + i
	}
	return -1
}
