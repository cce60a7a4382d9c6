package checkpoint

import (
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
		return &ValueError{t.Name, t.Position(first + int64(i)), float64(dst[i]), "cannot be computed with"}
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
	// both have an exponent of ones: the top byte but its sign, and as much of
	// the byte below as the exponent reaches
	masks := map[DType][2]byte{F64: {0x7f, 0xf0}, F32: {0x7f, 0x80}, BF16: {0x7f, 0x80}, F16: {0x7c, 0}}[t]
	size := int(t.Size())
	for top := size - 1; top < len(src); top += size {
		if src[top]&masks[0] == masks[0] && src[top-1]&masks[1] == masks[1] {
			return top / size
		}
	}
	return -1
}
