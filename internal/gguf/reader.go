package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"
)

// These are limits of the format (ggml-org/llama.cpp: ggml/src/gguf.cpp and
// ggml/include/ggml.h, b11434), and one of this program's.
const (
	maxHeader    = 256 << 20 // bytes before the data; a vocabulary of 256,000 tokens takes 20 MB
	maxName      = 63        // bytes of a tensor's name
	maxKey       = 65535     // bytes of a key
	maxDims      = 4
	maxAlignment = 1 << 20

	defaultAlignment = 32
	// AlignmentKey holds what the places of tensors are multiples of.
	AlignmentKey = "general.alignment"
)

// File is a GGUF file whose header has passed every check.
type File struct {
	Version   uint32
	Metadata  Metadata
	Tensors   []*Tensor // in the order of their data
	Alignment int64
	Data      int64 // first byte of the data
}

// Read reads and checks the header of a GGUF file of size bytes. Tensors read from f later
// on. Errors say what is wrong with the content, and the caller adds the file's name.
func Read(f io.ReaderAt, size int64) (*File, error) {
	in := &reader{limit: min(size, maxHeader)}
	in.from = bufio.NewReaderSize(io.NewSectionReader(f, 0, in.limit), 1<<16)
	file := &File{}
	tensors, pairs := in.start(file)
	keys := make(map[string]bool)
	for range pairs {
		p := Pair{Key: in.key()}
		p.Value = in.value(p.Key)
		if keys[p.Key] {
			in.fail("key %q is there twice", p.Key)
		}
		if in.err != nil {
			return nil, in.err
		}
		keys[p.Key] = true
		file.Metadata = append(file.Metadata, p)
	}
	if in.err == nil {
		in.err = file.align()
	}
	names := make(map[string]bool)
	end := int64(0)
	for range tensors {
		t := in.tensor()
		if names[t.Name] {
			in.fail("tensor %q is there twice", t.Name)
		}
		if in.err != nil {
			return nil, in.err
		}
		names[t.Name] = true
		// Places are those that follow from the sizes, so that nothing overlaps and nothing hides.
		if t.at != end {
			return nil, fmt.Errorf("tensor %q: invalid offset: begins at byte %d of the data, and the tensor before it ends at %d", t.Name, t.at, end)
		}
		if end = padded(t.at+t.bytes, file.Alignment); end < t.at || end > size {
			return nil, fmt.Errorf("tensor %q: ends at byte %d of the data, and the file has %d bytes: incomplete", t.Name, t.at+t.bytes, size)
		}
		t.file = f
		file.Tensors = append(file.Tensors, t)
	}
	if in.err != nil {
		return nil, in.err
	}
	return file, file.place(in.at, size)
}

// place tells the tensors where the data begin, behind a header that ends at the given byte,
// and makes sure that the data end with the file. Padding after the last tensor may be left
// out.
func (f *File) place(header, size int64) error {
	f.Data = padded(header, f.Alignment)
	end := f.Data
	for _, t := range f.Tensors {
		t.at += f.Data
		end = t.at + t.bytes
	}
	if len(f.Tensors) == 0 {
		end = header
	}
	if size < end || size > padded(end, f.Alignment) {
		return fmt.Errorf("the tensors end at byte %d, and the file has %d: incomplete or with trailing bytes", end, size)
	}
	return nil
}

// align reads the alignment of the data.
func (f *File) align() error {
	f.Alignment = defaultAlignment
	switch v := f.Metadata.Value(AlignmentKey).(type) {
	case nil:
		return nil
	case uint32:
		f.Alignment = int64(v)
	default:
		return wrongType(AlignmentKey, v, "a uint32")
	}
	if f.Alignment <= 0 || f.Alignment > maxAlignment || f.Alignment&(f.Alignment-1) != 0 {
		return fmt.Errorf("%s is %d and must be a power of two, at most %d", AlignmentKey, f.Alignment, maxAlignment)
	}
	return nil
}

// padded rounds n up to a multiple of a power of two.
func padded(n, to int64) int64 { return (n + to - 1) &^ (to - 1) }

// reader reads the parts of a header. It keeps the first error, and after it gives zeros.
type reader struct {
	from  *bufio.Reader
	at    int64 // bytes that were read
	limit int64 // bytes that there are
	err   error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// fill reads all of p.
func (r *reader) fill(p []byte) {
	if r.err != nil {
		clear(p)
		return
	}
	n, err := io.ReadFull(r.from, p)
	r.at += int64(n)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		r.fail("the header ends at byte %d, in the middle of something: incomplete, or larger than %d bytes", r.at, maxHeader)
		clear(p)
	case err != nil:
		r.err = err
		clear(p)
	}
}

func (r *reader) u32() uint32 {
	var b [4]byte
	r.fill(b[:])
	return binary.LittleEndian.Uint32(b[:])
}

func (r *reader) u64() uint64 {
	var b [8]byte
	r.fill(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

// count reads a number of things that take at least so many bytes each. It refuses more than
// the rest of the header has room for.
func (r *reader) count(what string, each int64) int64 {
	n := r.u64()
	if left := r.limit - r.at; n > uint64(left/each) {
		r.fail("%d %s, and there is room for %d at most", n, what, left/each)
		return 0
	}
	return int64(n)
}

// start reads what every file begins with, and returns the numbers of tensors and of pairs.
func (r *reader) start(f *File) (tensors, pairs int64) {
	var magic [4]byte
	r.fill(magic[:])
	if r.err == nil && string(magic[:]) != Magic {
		r.fail("this is no GGUF file: it begins with %q", magic)
	}
	f.Version = r.u32()
	switch {
	case r.err != nil:
	case f.Version&0xffff == 0:
		r.fail("version %#x: a big-endian file, or none at all; only little-endian ones are read", f.Version)
	case f.Version != 2 && f.Version != 3:
		r.fail("version %d is not supported: it is one of 2, 3", f.Version)
	}
	tensors = r.count("tensors", 8+1+4+8+4+8)
	pairs = r.count("keys", 8+1+4+1)
	return tensors, pairs
}

// Magic is what a GGUF file begins with.
const Magic = "GGUF"

// text reads a string of at most so many bytes.
func (r *reader) text(most int64) string {
	n := r.count("bytes of a string", 1)
	if n > most {
		r.fail("a string of %d bytes, and at most %d are allowed here", n, most)
	}
	if r.err != nil {
		return ""
	}
	b := make([]byte, n)
	r.fill(b)
	return string(b)
}

// name reads a name, which must not be empty nor garble a terminal.
func (r *reader) name(what string, most int64) string {
	name := r.text(most)
	switch {
	case r.err != nil:
	case name == "":
		r.fail("an empty %s", what)
	case !utf8.ValidString(name):
		r.fail("the %s %q is not UTF-8", what, name)
	case strings.ContainsFunc(name, unicode.IsControl):
		r.fail("control character in the %s %q", what, name)
	}
	return name
}

func (r *reader) key() string { return r.name("key", maxKey) }

// tensor reads all that the header says of a tensor. Its place is counted from the start of
// the data.
func (r *reader) tensor() *Tensor {
	t := &Tensor{Name: r.name("tensor name", maxName)}
	dims := r.u32()
	if r.err == nil && (dims < 1 || dims > maxDims) {
		r.fail("tensor %q has %d dimensions, and may have 1 to %d", t.Name, dims, maxDims)
	}
	if r.err != nil {
		return t
	}
	t.Shape = make([]int64, dims)
	for i := range t.Shape { // the contiguous dimension comes first in the file
		n := r.u64()
		if r.err == nil && (n == 0 || n > math.MaxInt64) {
			r.fail("tensor %q has a dimension of %d", t.Name, n)
		}
		t.Shape[int(dims)-1-i] = int64(n)
	}
	t.Type = Type(r.u32())
	at := r.u64()
	if r.err != nil {
		return t
	}
	if at > math.MaxInt64/2 {
		r.fail("tensor %q: invalid offset %d", t.Name, at)
	}
	t.at = int64(at)
	r.size(t)
	return t
}

// size computes the size of a tensor's data.
func (r *reader) size(t *Tensor) {
	kind, known := types[t.Type]
	last := t.Shape[len(t.Shape)-1]
	switch {
	case !known:
		r.fail("tensor %q has an unknown %v", t.Name, t.Type)
		return
	case last%kind.numbers != 0:
		r.fail("tensor %q: rows of %d numbers are no whole blocks of %s, which have %d", t.Name, last, kind.name, kind.numbers)
		return
	}
	total := uint64(kind.bytes)
	for i, d := range t.Shape {
		if i == len(t.Shape)-1 {
			d /= kind.numbers
		}
		hi, lo := bits.Mul64(total, uint64(d))
		if hi != 0 || lo > math.MaxInt64/(2*256) {
			r.fail("tensor %q: overflow: the size of %s %v does not fit", t.Name, kind.name, t.Shape)
			return
		}
		total = lo
	}
	t.bytes = int64(total)
}
