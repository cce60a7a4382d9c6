package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
	"runtime/debug"
	"slices"
	"strings"
	"unicode"

	"github.com/mha2mla/mha2mla/internal/strictjson"
)

const (
	// maxHeader is the length in bytes of the longest header that the reference reader
	// accepts.
	maxHeader = 100_000_000
	// largeHeader is the length in bytes above which parsing a header or an index takes
	// so much memory that the program spares it.
	largeHeader = 10_000_000
	// headerMemory is the limit in bytes that the program sets for its memory while it
	// reads a large header.
	headerMemory = 400 << 20
	// maxMetadata is the largest number of entries in __metadata__. Sound checkpoints
	// have a handful.
	maxMetadata = 100_000
)

// Tensor is one entry of a safetensors header.
type Tensor struct {
	Name  string
	DType DType
	Shape []int64
	begin int64 // first byte, counted from the start of the data
	end   int64 // first byte after the tensor's data
	file  *file // set when the file is part of a Source

	view io.ReaderAt // gives the data if they are not stored as they are shown; nil if they are
}

// Bytes returns the size of the tensor's data in bytes.
func (t *Tensor) Bytes() int64 { return t.end - t.begin }

// Elements returns the number of the tensor's elements.
func (t *Tensor) Elements() int64 { return elements(t.Shape) }

func elements(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return n
}

// header is a safetensors header that has passed every check.
type header struct {
	tensors  []*Tensor // in the order of their data
	metadata map[string]string
	data     int64 // where the data begin in the file
}

// readHeader reads and checks the header of a safetensors file of size bytes. Its errors
// say what is wrong with the content, and the caller adds the file's name.
func readHeader(r io.Reader, size int64) (*header, error) {
	prefix := make([]byte, 8)
	if _, err := io.ReadFull(r, prefix); err != nil {
		if size < 8 {
			return nil, fmt.Errorf("header too small: the file has %d bytes and a safetensors file has at least 8", size)
		}
		return nil, err
	}
	if what := foreign(prefix); what != "" {
		return nil, fmt.Errorf("this is %s, not a safetensors file", what)
	}
	n := binary.LittleEndian.Uint64(prefix)
	if n > maxHeader {
		return nil, fmt.Errorf("header too large: %d bytes, and at most %d are allowed", n, maxHeader)
	}
	if int64(n)+8 > size {
		return nil, fmt.Errorf("invalid header length: %d bytes after the first 8, and the file has %d", n, size)
	}
	defer sparingly(int64(n))()
	h, err := parseHeader(io.LimitReader(r, int64(n)))
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	h.data = int64(n) + 8
	return h, h.check(size - h.data)
}

// sparingly makes the runtime spare memory while size bytes of JSON are read, if size is
// large. The caller ends this with the function that it returns. Collecting garbage more
// often costs time, and a bounded memory is worth it here.
func sparingly(size int64) (done func()) {
	if size <= largeHeader {
		return func() {}
	}
	percent := debug.SetGCPercent(25)
	limit := debug.SetMemoryLimit(min(headerMemory, debug.SetMemoryLimit(-1)))
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}
}

// foreign recognises, by its first bytes, a file that people mistake for safetensors, and
// says what it is. It returns an empty text for all others.
func foreign(prefix []byte) string {
	switch {
	case bytes.HasPrefix(prefix, []byte("version ")):
		return "a Git LFS pointer (fetch the file itself with git lfs pull)"
	case bytes.HasPrefix(prefix, []byte("PK\x03\x04")):
		return "a zip archive, probably a PyTorch checkpoint"
	case bytes.HasPrefix(prefix, []byte("<!")), bytes.HasPrefix(bytes.ToLower(prefix), []byte("<html")):
		return "an HTML page, probably a failed download"
	case bytes.HasPrefix(prefix, []byte("\x1f\x8b")), bytes.HasPrefix(prefix, []byte("BZh")), bytes.HasPrefix(prefix, []byte("\xfd7zXZ")), bytes.HasPrefix(prefix, []byte("(\xb5/\xfd")):
		return "a compressed archive (unpack it)"
	case bytes.HasPrefix(prefix, []byte("\x89HDF")):
		return "an HDF5 file"
	case bytes.HasPrefix(prefix, []byte("\x80\x02")) && prefix[2] != 0:
		return "a Python pickle, probably an old PyTorch checkpoint"
	case prefix[0] == '{' && !bytes.Contains(prefix, []byte{0}), prefix[0] == '[' && !bytes.Contains(prefix, []byte{0}):
		return "JSON (name the folder it is in, or the weights)"
	default:
		return ""
	}
}

// parseHeader parses the JSON of a header. It returns the tensors in the order of the JSON
// and does not compare their byte ranges yet; check does.
func parseHeader(r io.Reader) (*header, error) {
	h := &header{}
	var room arena
	in := strictjson.NewReader(r)
	err := in.Object(func(name string) error {
		if name == "__metadata__" {
			var err error
			if h.metadata, err = parseMetadata(in); err != nil {
				err = fmt.Errorf("__metadata__: %w", err)
			}
			return err
		}
		if err := checkName(name); err != nil {
			return err
		}
		t := room.tensor()
		if err := parseTensor(in, t, &room); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		t.Name = name
		h.tensors = append(h.tensors, t)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return h, in.End()
}

// parseMetadata parses a map of strings to strings, or null.
func parseMetadata(in *strictjson.Reader) (map[string]string, error) {
	if in.AtNull() {
		return nil, in.Skip()
	}
	metadata := make(map[string]string)
	err := in.Object(func(key string) (err error) {
		if len(metadata) == maxMetadata {
			return fmt.Errorf("more than %d entries", maxMetadata)
		}
		metadata[key], err = in.String()
		return err
	})
	return metadata, err
}

// checkName refuses names that would garble a terminal or a log, and the empty name, which
// readers treat differently.
func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("empty tensor name")
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("control character in the tensor name %q", name)
	}
	return nil
}

// arena hands out tensors and shapes from large blocks, because a header may have a million
// of them and one allocation for each would be slow.
type arena struct {
	tensors []Tensor
	dims    []int64
}

const arenaBlock = 1024

func (a *arena) tensor() *Tensor {
	if len(a.tensors) == 0 {
		a.tensors = make([]Tensor, arenaBlock)
	}
	t := &a.tensors[0]
	a.tensors = a.tensors[1:]
	return t
}

// keep returns a copy of shape that lies in one of the blocks.
func (a *arena) keep(shape []int64) []int64 {
	if len(a.dims) < len(shape) {
		a.dims = make([]int64, max(arenaBlock, len(shape)))
	}
	kept := a.dims[:len(shape):len(shape)]
	a.dims = a.dims[len(shape):]
	copy(kept, shape)
	return kept
}

// parseTensor parses the entry of one tensor into t and checks all that can be checked
// without the other entries.
func parseTensor(in *strictjson.Reader, t *Tensor, room *arena) error {
	var shape, offsets []int64
	integers := func(into *[]int64) error {
		*into = []int64{}
		return in.Array(func() error {
			n, err := in.Uint()
			if err != nil {
				return err
			}
			if n > math.MaxInt64 {
				return fmt.Errorf("overflow: %d is too large", n)
			}
			*into = append(*into, int64(n))
			return nil
		})
	}
	err := in.Object(func(field string) error {
		switch field {
		case "dtype":
			name, err := in.String()
			t.DType = DType(name)
			if err == nil && !t.DType.Known() {
				return fmt.Errorf("unknown dtype %q", name)
			}
			return err
		case "shape":
			return integers(&shape)
		case "data_offsets":
			return integers(&offsets)
		default:
			return in.Skip()
		}
	})
	switch {
	case err != nil:
		return err
	case t.DType == "":
		return fmt.Errorf("missing field dtype")
	case shape == nil:
		return fmt.Errorf("missing field shape")
	case offsets == nil:
		return fmt.Errorf("missing field data_offsets")
	case len(offsets) != 2:
		return fmt.Errorf("data_offsets has %d numbers and must have 2", len(offsets))
	case offsets[0] > offsets[1]:
		return fmt.Errorf("invalid offsets: begins at %d after its end at %d", offsets[0], offsets[1])
	}
	t.Shape, t.begin, t.end = room.keep(shape), offsets[0], offsets[1]
	want, err := byteSize(t.DType, t.Shape)
	if err == nil && want != uint64(t.Bytes()) {
		err = fmt.Errorf("invalid offsets: %d bytes, and %s %v takes %d", t.Bytes(), t.DType, t.Shape, want)
	}
	return err
}

// byteSize returns the size of a tensor in bytes. It multiplies the dimensions from the
// left and checks for an overflow at every step, so that it refuses the same shapes as the
// reference reader.
func byteSize(t DType, shape []int64) (uint64, error) {
	total := uint64(1)
	for _, d := range append(slices.Clip(shape), int64(dtypeBits[t])) {
		hi, lo := bits.Mul64(total, uint64(d))
		if hi != 0 {
			return 0, fmt.Errorf("overflow: the size of %s %v does not fit 64 bits", t, shape)
		}
		total = lo
	}
	if total%8 != 0 {
		return 0, fmt.Errorf("%s %v does not end at a byte boundary", t, shape)
	}
	return total / 8, nil
}

// check sorts the tensors by the places of their data. It returns an error unless the data
// fill size bytes without a hole and without an overlap.
func (h *header) check(size int64) error {
	if len(h.tensors) == 0 {
		return fmt.Errorf("header: no tensors")
	}
	slices.SortFunc(h.tensors, func(a, b *Tensor) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end), cmp.Compare(a.Name, b.Name))
	})
	at := int64(0)
	for _, t := range h.tensors {
		if t.begin != at {
			return fmt.Errorf("tensor %q: invalid offset: begins at byte %d of the data, and the tensor before it ends at %d", t.Name, t.begin, at)
		}
		at = t.end
	}
	if at != size {
		return fmt.Errorf("the tensors end at byte %d of the data, and the file has %d: incomplete or with trailing bytes", at, size)
	}
	return nil
}
