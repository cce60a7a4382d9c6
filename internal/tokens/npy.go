package tokens

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// npyMagic is how every NumPy file begins. The two bytes of the version follow it.
const npyMagic = "\x93NUMPY"

// maxNpyHeader is the length in bytes of the longest header that is read, which is far more
// than an array of integers needs. Without it, a header of version 2 or 3 could claim four
// gigabytes.
const maxNpyHeader = 1 << 16

// npyTypes holds the types of integers that token ids may have.
var npyTypes = map[string]integer{
	"<u2": {2, false}, "<u4": {4, false}, "<u8": {8, false},
	"<i2": {2, true}, "<i4": {4, true}, "<i8": {8, true},
}

// parseNpy reads token ids from a NumPy file of version 1.0, 2.0 or 3.0. A vector is one
// sequence; of a matrix, each row is one. The file must hold little-endian integers in C
// order, and nothing behind them.
func parseNpy(r io.Reader, x *ids) ([][]int, error) {
	text, err := npyHeaderText(r)
	if err != nil {
		return nil, err
	}
	header, err := parseNpyHeader(text)
	if err != nil {
		return nil, err
	}
	kind, row, total, err := header.layout()
	if err != nil {
		return nil, err
	}
	// The sequences grow as ids are read. A false header therefore costs no memory.
	var sequences [][]int
	var read uint64
	err = integers(r, kind, func(id int64) error {
		if read == total {
			return fmt.Errorf("more data than the shape's %d ids", total)
		}
		if err := x.take(id); err != nil {
			return fmt.Errorf("%w, at index %d", err, read)
		}
		if read%row == 0 {
			sequences = append(sequences, nil)
		}
		last := &sequences[len(sequences)-1]
		*last = append(*last, int(id))
		read++
		return x.enough()
	})
	switch {
	case errors.Is(err, errEnough):
		return sequences, nil
	case err == nil && read < total, errors.Is(err, io.ErrUnexpectedEOF) && read < total:
		return nil, fmt.Errorf("%d ids, and the shape has %d", read, total)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("more data than the shape's %d ids", total)
	case err != nil:
		return nil, err
	case total == 0:
		return nil, errNoIDs
	}
	return sequences, nil
}

// npyHeaderText reads everything before the data, and returns the text of the header.
func npyHeaderText(r io.Reader) (string, error) {
	short := func(err error) error {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return errors.New("the NumPy header is cut short")
		}
		return err
	}
	var start [len(npyMagic) + 2]byte
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return "", short(err)
	}
	if string(start[:len(npyMagic)]) != npyMagic {
		return "", errors.New("not a NumPy file: it does not begin with \\x93NUMPY")
	}
	var length [4]byte // little-endian; version 1 has two bytes
	width := 4
	major, minor := start[len(npyMagic)], start[len(npyMagic)+1]
	switch {
	case major < 1 || major > 3 || minor != 0:
		return "", fmt.Errorf("NumPy format %d.%d; 1.0, 2.0 and 3.0 are read", major, minor)
	case major == 1:
		width = 2
	}
	if _, err := io.ReadFull(r, length[:width]); err != nil {
		return "", short(err)
	}
	n := binary.LittleEndian.Uint32(length[:])
	if n > maxNpyHeader {
		return "", fmt.Errorf("a NumPy header of %d bytes; at most %d are read", n, maxNpyHeader)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return "", short(err)
	}
	return string(text), nil
}

// layout returns the type of the integers, how many of them are in a row, and how many there
// are in all. It returns an error for an array that does not hold token ids.
func (h npyHeader) layout() (kind integer, row, total uint64, err error) {
	kind, ok := npyTypes[h.descr]
	switch {
	case !ok && len(h.descr) > 0 && h.descr[0] == '>':
		err = fmt.Errorf("big-endian data (%q); little-endian is read", h.descr)
	case !ok:
		err = fmt.Errorf("data of type %q; <u2, <u4, <u8, <i2, <i4 and <i8 are read", h.descr)
	case h.fortran:
		err = errors.New("the array is in Fortran order; C order is read")
	case len(h.shape) == 1:
		row, total = h.shape[0], h.shape[0]
	case len(h.shape) == 2:
		var over uint64
		row = h.shape[1]
		over, total = bits.Mul64(h.shape[0], row)
		if over > 0 {
			err = fmt.Errorf("the shape %d is too large", h.shape)
		}
	default:
		err = fmt.Errorf("the array has %d dimensions; 1 and 2 are read", len(h.shape))
	}
	return kind, row, total, err
}
