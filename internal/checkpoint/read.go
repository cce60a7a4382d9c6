package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// chunk is the size in bytes of the pieces in which tensors are read and
// written.
const chunk = 1 << 20

// Data returns the tensor's bytes as they are stored.
func (t *Tensor) Data() io.Reader {
	return io.NewSectionReader(t.file.f, t.file.data+t.begin, t.Bytes())
}

// Read converts the elements of float tensor t from first on, in row-major
// order, to dst. It allocates no more than a small buffer.
func Read[T Real](t *Tensor, first int64, dst []T) error {
	size := t.DType.Size()
	at := t.file.data + t.begin + first*size
	buf := make([]byte, min(chunk, int64(len(dst))*size))
	for len(dst) > 0 {
		n := min(len(dst), len(buf)/int(size))
		part := buf[:int64(n)*size]
		if _, err := t.file.f.ReadAt(part, at); err != nil {
			return t.ReadError(err)
		}
		decode(dst[:n], part, t.DType)
		at += int64(len(part))
		dst = dst[n:]
	}
	return nil
}

// ReadFinite is Read for values that are computed with: NaN and Inf are
// refused, by name and position.
func ReadFinite[T Real](t *Tensor, first int64, dst []T) error {
	if err := Read(t, first, dst); err != nil {
		return err
	}
	if i := slices.IndexFunc(dst, nonFinite); i >= 0 {
		return &ValueError{t.Name, t.Position(first + int64(i)), float64(dst[i]), "cannot be computed with", ""}
	}
	return nil
}

// nonFinite reports whether v is NaN or Inf.
func nonFinite[T Real](v T) bool { return v-v != 0 }

// Position converts a row-major index into a position in the tensor's shape.
func (t *Tensor) Position(index int64) []int64 { return position(index, t.Shape) }

// ReadError explains a failed read; a file that ends early has changed since
// its header was checked.
func (t *Tensor) ReadError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &FormatError{Path: t.file.path, What: fmt.Sprintf("file became shorter while tensor %q was read", t.Name)}
	}
	return fmt.Errorf("reading tensor %q: %w", t.Name, err)
}

// FirstNonFinite returns the index of the first element of float type t in src
// that is NaN or Inf, or -1.
func FirstNonFinite(src []byte, t DType) int {
	exponent := exponents[t]
	size := int(t.Size())
	at := 0
	for ; at+8 <= len(src); at += 8 { // several elements at a time
		// lanes whose exponent is all ones become zero; the second line finds them
		v := binary.LittleEndian.Uint64(src[at:])&exponent.mask ^ exponent.mask
		if (v-exponent.ones)&^v&exponent.tops != 0 {
			break
		}
	}
	for ; at < len(src); at += size {
		var word [8]byte
		copy(word[:], src[at:at+size])
		if lane := exponent.mask & (1<<(8*size-1) - 1); binary.LittleEndian.Uint64(word[:])&lane == lane {
			return at / size
		}
	}
	return -1
}

// lanes are 64 bits that hold several elements of one type.
type lanes struct {
	mask uint64 // the exponents
	ones uint64 // the lowest bit of each
	tops uint64 // the highest
}

// exponents tells where the exponents of a type are: they are all ones in NaN and
// Inf.
var exponents = map[DType]lanes{
	F64:  {0x7ff0000000000000, 1, 1 << 63},
	F32:  {0x7f8000007f800000, 0x0000000100000001, 0x8000000080000000},
	BF16: {0x7f807f807f807f80, 0x0001000100010001, 0x8000800080008000},
	F16:  {0x7c007c007c007c00, 0x0001000100010001, 0x8000800080008000},
}
