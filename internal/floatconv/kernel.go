//go:build (amd64 || arm64) && !noasm

package floatconv

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// The kernels take whole groups, of group elements, or of groupBytes bytes if they read the
// exponents alone.
const group, groupBytes = 16, 128

// vectors says whether the processor runs the kernels. All arm64 do.
var vectors = cpu.X86.HasAVX2 && cpu.X86.HasF16C || runtime.GOARCH == "arm64"

var (
	decoders32 = [...]func(groups int, dst, src *byte){
		Binary64: doubleTo32, Binary16: halfTo32, BFloat16: brainTo32,
	}
	decoders64 = [...]func(groups int, dst, src *byte){
		Binary32: singleTo64, Binary16: halfTo64, BFloat16: brainTo64,
	}
	encoders = [...]func(groups int, dst, src *byte) int{
		Binary32: roundSingle, Binary16: roundHalf, BFloat16: roundBrain,
	}
)

// decodeGroups decodes as many of the first elements of src as the kernels take, and returns
// how many.
func decodeGroups[T Real](dst []T, src []byte, f Format) int {
	to, same := stored(dst)
	decoders := &decoders32
	if same == Binary64 {
		decoders = &decoders64
	}
	groups := len(dst) / group
	switch {
	case f == same:
		copy(to, src)
		return len(dst)
	case !vectors || groups == 0:
		return 0
	default:
		decoders[f](groups, &to[0], &src[0])
		return groups * group
	}
}

// encodeGroups encodes the first elements of src, up to a group with one that the kernels
// leave to plain code, and returns how many.
func encodeGroups(dst []byte, src []float64, f Format) int {
	from, same := stored(src)
	groups := len(src) / group
	switch {
	case f == same:
		copy(dst, from)
		return len(src)
	case !vectors || groups == 0:
		return 0
	default:
		return encoders[f](groups, &dst[0], &from[0]) * group
	}
}

// finiteElements returns how many of the first elements of s the kernels found to be finite.
func finiteElements[T Real](s []T) int {
	src, f := stored(s)
	return finiteBytes(src, f) / f.Size()
}

// finiteBytes returns how many of the first bytes of src hold elements that the kernels found
// to be finite.
func finiteBytes(src []byte, f Format) int {
	groups := len(src) / groupBytes
	if !vectors || groups == 0 {
		return 0
	}
	return finiteGroups(groups, &src[0], inLanes[f].exponents) * groupBytes
}

// stored returns the bytes of s, which this processor keeps in the order in which
// they are stored, and their format.
func stored[T Real](s []T) ([]byte, Format) {
	f := Binary64
	if unsafe.Sizeof(*new(T)) == 4 {
		f = Binary32
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*f.Size()), f
}
