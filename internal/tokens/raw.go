package tokens

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// nanosetWidth returns how many bytes an id has in a file that datatrove wrote: two if every
// id of the vocabulary fits them, and otherwise four. The file itself does not tell.
func nanosetWidth(vocab int) int {
	if vocab > math.MaxUint16+1 {
		return 4
	}
	return 2
}

// raw returns a function that reads a file of plain little-endian ids, of width bytes each,
// as one sequence.
func raw(width int) func(io.Reader, *ids) ([][]int, error) {
	return func(r io.Reader, x *ids) ([][]int, error) {
		var sequence []int
		err := integers(r, integer{width: width}, func(id int64) error {
			if err := x.take(id); err != nil {
				return fmt.Errorf("%w, at byte %d", err, len(sequence)*width)
			}
			sequence = append(sequence, int(id))
			return x.enough()
		})
		switch {
		case errors.Is(err, errEnough):
		case errors.Is(err, io.ErrUnexpectedEOF):
			return nil, fmt.Errorf("the last id is cut short: the size is no multiple of %d bytes", width)
		case err != nil:
			return nil, err
		case len(sequence) == 0:
			return nil, errNoIDs
		}
		return [][]int{sequence}, nil
	}
}

// integer is a type of little-endian integers in a file.
type integer struct {
	width  int // in bytes: 2, 4 or 8
	signed bool
}

// integers calls each with every integer in r, until r ends or each fails. An integer that
// does not fit an int64 arrives as the largest int64. If r ends within an integer, the error
// is io.ErrUnexpectedEOF.
func integers(r io.Reader, kind integer, each func(int64) error) error {
	var buf [1 << 13]byte // a multiple of every width
	for {
		n, err := io.ReadFull(r, buf[:])
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return err
		}
		whole := n - n%kind.width
		for at := 0; at < whole; at += kind.width {
			if err := each(kind.decode(buf[at:])); err != nil {
				return err
			}
		}
		switch {
		case whole < n:
			return io.ErrUnexpectedEOF
		case err != nil: // r has ended, with this block or before it was full
			return nil
		}
	}
}

// decode returns the first integer in b.
func (k integer) decode(b []byte) int64 {
	switch {
	case k.width == 2 && k.signed:
		return int64(int16(binary.LittleEndian.Uint16(b)))
	case k.width == 2:
		return int64(binary.LittleEndian.Uint16(b))
	case k.width == 4 && k.signed:
		return int64(int32(binary.LittleEndian.Uint32(b)))
	case k.width == 4:
		return int64(binary.LittleEndian.Uint32(b))
	case k.signed:
		return int64(binary.LittleEndian.Uint64(b))
	default:
		return int64(min(binary.LittleEndian.Uint64(b), math.MaxInt64))
	}
}
