package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/mha2mla/mha2mla/internal/floatconv"
	"github.com/mha2mla/mha2mla/internal/option"
)

// chunk is the size in bytes of the pieces in which tensors are read and
// written.
const chunk = 1 << 20

// Data returns the tensor's bytes as they are stored.
func (t *Tensor) Data() io.Reader {
	return io.NewSectionReader(t, 0, t.Bytes())
}

// Section returns the bytes of n elements of a float tensor, starting with the given one.
func (t *Tensor) Section(first, n int64) io.Reader {
	size := t.DType.Size()
	return io.NewSectionReader(t, first*size, n*size)
}

// Read fills dst with elements of the float tensor t in row-major order, starting with
// element first. It allocates no more than a small buffer. It returns an error if the file
// cannot be read or has become shorter.
func Read[T Real](t *Tensor, first int64, dst []T) error {
	return read(t, first, dst, func([]T, int64) error { return nil })
}

// ReadFinite is Read for values that are computed with. It returns a ValueError, with the
// name and the position, for NaN and Inf.
func ReadFinite[T Real](t *Tensor, first int64, dst []T) error {
	return read(t, first, dst, func(part []T, first int64) error {
		if i := floatconv.FirstNonFinite(part); i >= 0 {
			return &ValueError{t.Name, t.Position(first + int64(i)), float64(part[i]), "cannot be computed with", option.Text{}}
		}
		return nil
	})
}

// read is Read, and calls look with each part of dst that it has filled and the index of
// the part's first element. The part is still in the processor's cache then.
func read[T Real](t *Tensor, first int64, dst []T, look func(part []T, first int64) error) error {
	size := t.DType.Size()
	buf := make([]byte, min(chunk, int64(len(dst))*size))
	for len(dst) > 0 {
		n := min(len(dst), len(buf)/int(size))
		stored := buf[:int64(n)*size]
		if _, err := t.ReadAt(stored, first*size); err != nil {
			return t.ReadError(err)
		}
		floatconv.Decode(dst[:n], stored, t.DType.format())
		if err := look(dst[:n], first); err != nil {
			return err
		}
		first += int64(n)
		dst = dst[n:]
	}
	return nil
}

// File returns the name, without folder, of the file that holds the tensor.
func (t *Tensor) File() string { return filepath.Base(t.file.path) }

// Position converts a row-major index into a position in the tensor's shape.
func (t *Tensor) Position(index int64) []int64 { return position(index, t.Shape) }

// ReadError explains an error of reading the tensor. If the file ended early, it has become
// shorter since its header was checked, and the result is a FormatError.
func (t *Tensor) ReadError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &FormatError{Path: t.file.path, What: fmt.Sprintf("file became shorter while tensor %q was read", t.Name)}
	}
	return fmt.Errorf("reading tensor %q: %w", t.Name, err)
}

// FirstNonFinite returns the index of the first element in src that is NaN or Inf; -1 if
// there is none. The elements are stored as the float type t.
func FirstNonFinite(src []byte, t DType) int { return floatconv.FirstNonFiniteStored(src, t.format()) }
