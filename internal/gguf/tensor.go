package gguf

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"
)

// Tensor is one tensor of a file.
type Tensor struct {
	Name  string
	Type  Type
	Shape []int64 // the last dimension is contiguous, as everywhere but in the file itself

	bytes int64 // of the data
	at    int64 // first byte of the data in the file
	file  io.ReaderAt
}

// Elements returns the number of the tensor's numbers.
func (t *Tensor) Elements() int64 {
	n := int64(1)
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Raw returns the tensor's bytes as they are stored.
func (t *Tensor) Raw() *io.SectionReader { return io.NewSectionReader(t.file, t.at, t.bytes) }

// Floats returns the tensor's numbers one after the other, as little-endian floats. Those of
// a plain type stay as they are stored; those of a quantised one become float32. The type
// must be readable.
func (t *Tensor) Floats() io.ReaderAt {
	if t.Type.Plain() {
		return t.Raw()
	}
	return t.Singles()
}

// Singles is Floats, but gives float32 whatever the type is.
func (t *Tensor) Singles() io.ReaderAt { return &decoded{t} }

// decoded presents a tensor as float32.
type decoded struct{ *Tensor }

// atOnce is how many blocks are decoded at a time.
const atOnce = 256

// ReadAt decodes those blocks that the bytes from off on lie in.
func (d *decoded) ReadAt(p []byte, off int64) (n int, err error) {
	kind := types[d.Type]
	size := d.Elements() * 4
	width := kind.numbers * 4 // of a decoded block
	stored, floats := make([]byte, atOnce*kind.bytes), make([]float32, kind.numbers)
	plain := make([]byte, width)
	for n < len(p) && off < size {
		first := off / width
		blocks := min(atOnce, (off-first*width+int64(len(p)-n)+width-1)/width, size/width-first)
		part := stored[:blocks*kind.bytes]
		if _, err := d.file.ReadAt(part, d.at+first*kind.bytes); err != nil {
			return n, err
		}
		for ; len(part) > 0 && n < len(p); part = part[kind.bytes:] {
			kind.decode(floats, part[:kind.bytes])
			for i, v := range floats {
				binary.LittleEndian.PutUint32(plain[4*i:], math.Float32bits(v))
			}
			k := copy(p[n:], plain[off%width:])
			n, off = n+k, off+int64(k)
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// shortest converts a float32 to the float64 nearest to its shortest decimal notation.
func shortest(v float32) float64 {
	text := strconv.FormatFloat(float64(v), 'g', -1, 32)
	long, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(fmt.Sprintf("gguf: %q does not read back: %v", text, err)) // it was just written
	}
	return long
}
