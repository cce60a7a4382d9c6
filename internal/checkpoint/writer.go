package checkpoint

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync"

	"github.com/nlpodyssey/safetensors"

	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/gguf"
	"github.com/mha2mla/mha2mla/internal/option"
)

// Spec declares a tensor of a file to be written.
type Spec struct {
	Name  string  `json:"name"`
	DType DType   `json:"dtype"`
	Shape []int64 `json:"shape"`
}

// Bytes returns the size of the tensor's data in bytes.
func (s Spec) Bytes() int64 {
	if s.DType == Q8_0 {
		return gguf.Spec{Type: gguf.Q8_0, Shape: s.Shape}.Bytes()
	}
	n, err := byteSize(s.DType, s.Shape)
	if err != nil {
		panic("checkpoint: " + err.Error()) // shapes come from headers that were checked
	}
	return int64(n)
}

// Elements returns the number of the tensor's elements.
func (s Spec) Elements() int64 { return elements(s.Shape) }

// Position converts a row-major index into a position in the tensor's shape.
func (s Spec) Position(index int64) []int64 { return position(index, s.Shape) }

// Writer writes one safetensors or GGUF file. All tensors are declared first, so that their places
// are known. Callers may therefore write tensors in any order and at the same time, and
// the bytes of the file do not depend on that order.
type Writer struct {
	f      fsys.File
	header string           // digest of the header
	slot   map[string]*slot // by the name of the tensor

	// turn is held while something is written. The operating system lets only one
	// writer at a time into a file, and the others would wait for it spinning.
	turn sync.Mutex
}

// slot is the place of one tensor in the file.
type slot struct {
	Spec
	stored  string // the name in the file, if that is another
	at      int64  // first byte in the file
	written int64  // bytes that are in the file
	digest  string // of the data, once they are complete
}

// NewWriter writes the header for specs to the empty file f. From then on f belongs to the
// writer, whose Close closes it; NewWriter closes it if it fails.
func NewWriter(f fsys.File, specs []Spec, metadata map[string]string) (*Writer, error) {
	w := &Writer{f: f, slot: make(map[string]*slot, len(specs))}
	head, order, err := layHeader(specs, metadata)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	w.header = DigestBytes(head)
	at := int64(len(head))
	for _, s := range order {
		w.slot[s.Name] = &slot{Spec: s, at: at}
		at += s.Bytes()
	}
	if _, err := f.Write(head); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return w, nil
}

// layHeader returns the bytes of the header, its length included, and the specs in the order
// of their data. Like the reference writer, it puts tensors of wide elements first, so that
// every tensor is aligned, and orders the others by name.
func layHeader(specs []Spec, metadata map[string]string) ([]byte, []Spec, error) {
	order := slices.Clone(specs)
	slices.SortFunc(order, func(a, b Spec) int {
		return cmp.Or(cmp.Compare(dtypeBits[b.DType], dtypeBits[a.DType]), cmp.Compare(a.Name, b.Name))
	})
	entries := make(map[string]any, len(order)+1)
	if len(metadata) > 0 {
		entries["__metadata__"] = metadata
	}
	at := int64(0)
	for _, s := range order {
		entries[s.Name] = map[string]any{"dtype": s.DType, "shape": s.Shape, "data_offsets": [2]int64{at, at + s.Bytes()}}
		at += s.Bytes()
	}
	text, err := json.Marshal(entries) // which sorts the keys, so that the bytes are always the same
	if err != nil {
		return nil, nil, err
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	if len(text) > maxHeader {
		return nil, nil, fmt.Errorf("a header of %d tensors would have %d bytes, and no reader takes more than %d", len(order), len(text), maxHeader)
	}
	if err := crossCheck(text, order); err != nil {
		return nil, nil, err
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), order, nil
}

// crossCheck lets an independent reader parse the header before it is written, unless that
// reader does not know a type in it. It returns an error if the reader understands anything
// else, so that no file is filled that others would read differently.
func crossCheck(text []byte, specs []Spec) error {
	for _, s := range specs {
		if _, err := safetensors.ParseDType(string(s.DType)); err != nil {
			return nil
		}
	}
	var other safetensors.Metadata
	if err := json.Unmarshal(text, &other); err != nil {
		return fmt.Errorf("internal: header does not read back: %w", err)
	}
	tensors := other.Tensors()
	for _, s := range specs {
		t := tensors[s.Name]
		if t == nil || int64(t.DataOffsets[1]-t.DataOffsets[0]) != s.Bytes() {
			return fmt.Errorf("internal: tensor %q does not read back", s.Name)
		}
	}
	return nil
}

// Tensor returns a stream that takes the data of a tensor in row-major order. The caller
// closes it. The tensor must have been declared.
func (w *Writer) Tensor(name string) *TensorWriter {
	s, ok := w.slot[name]
	if !ok {
		panic("checkpoint: undeclared tensor " + name)
	}
	return &TensorWriter{w: w, slot: s, hash: sha256.New(), buf: make([]byte, 0, min(chunk, s.Bytes()))}
}

// Digests returns the digests of the file. Every tensor must be complete.
func (w *Writer) Digests() *Digests {
	d := &Digests{Header: w.header, Tensors: make(map[string]string, len(w.slot))}
	for name, s := range w.slot {
		d.Tensors[cmp.Or(s.stored, name)] = s.digest
	}
	return d
}

// Close puts the file on the disk and closes it. It returns an error if a tensor is not
// complete.
func (w *Writer) Close() error {
	var err error
	for name, s := range w.slot {
		if s.written != s.Bytes() {
			err = fmt.Errorf("internal: tensor %q has %d bytes of %d", name, s.written, s.Bytes())
		}
	}
	if err == nil {
		err = w.f.Sync()
	}
	return errors.Join(err, w.f.Close())
}

// Abandon closes the file as it is.
func (w *Writer) Abandon() error { return w.f.Close() }

// TensorWriter writes the data of one tensor, from the first element to the last.
type TensorWriter struct {
	w       *Writer
	slot    *slot
	hash    hash.Hash // of the bytes that are in the file
	buf     []byte    // bytes that are not in the file yet
	scratch []byte    // encoded values on their way to buf
	waiting []float32 // values that are no whole block of Q8_0 yet
}

// Spec returns the declaration of the tensor.
func (t *TensorWriter) Spec() Spec { return t.slot.Spec }

// DType returns the type of the elements that are written.
func (t *TensorWriter) DType() DType { return t.slot.DType }

// Bytes returns the size of the tensor's data in bytes.
func (t *TensorWriter) Bytes() int64 { return t.slot.Bytes() }

// Write appends bytes as they are.
func (t *TensorWriter) Write(p []byte) (int, error) {
	n := len(p)
	if len(t.buf) == 0 && len(p) >= cap(t.buf) { // it is large enough to be written at once
		if err := t.put(p); err != nil {
			return 0, err
		}
		return n, nil
	}
	for len(p) > 0 {
		free := cap(t.buf) - len(t.buf)
		if free == 0 {
			if err := t.flush(); err != nil {
				return 0, err
			}
			free = cap(t.buf)
			if free == 0 {
				return 0, fmt.Errorf("internal: tensor %q overflows", t.slot.Name)
			}
		}
		k := min(free, len(p))
		t.buf = append(t.buf, p[:k]...)
		p = p[k:]
	}
	return n, nil
}

// WriteFloats appends values, rounded to the tensor's type, which must be a float type. It
// returns a ValueError, with the name and the position, for a value that the type cannot
// hold.
func (t *TensorWriter) WriteFloats(values []float64) error {
	if t.slot.DType == Q8_0 {
		return t.writeBlocks(values)
	}
	size := int(t.slot.DType.Size())
	for len(values) > 0 {
		n := min(len(values), chunk/8)
		t.scratch = slices.Grow(t.scratch[:0], n*size)[:n*size]
		if err := encode(t.scratch, values[:n], t.slot.DType); err != nil {
			var bad *rangeError
			if errors.As(err, &bad) {
				at := (t.slot.written+int64(len(t.buf)))/int64(size) + int64(bad.index)
				return &ValueError{t.slot.Name, position(at, t.slot.Shape), bad.value, "does not fit " + string(bad.dtype), option.Textf("write another type with %v, or the largest of this one with %v", option.DType, option.Clamp)}
			}
			return err
		}
		if _, err := t.Write(t.scratch); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}

// Close writes what is still in the buffer. It returns an error if the tensor is not
// complete.
func (t *TensorWriter) Close() error {
	if err := t.flush(); err != nil {
		return err
	}
	if t.slot.written != t.slot.Bytes() {
		return fmt.Errorf("internal: tensor %q has %d bytes of %d", t.slot.Name, t.slot.written, t.slot.Bytes())
	}
	t.slot.digest = hexSum(t.hash)
	return nil
}

func (t *TensorWriter) flush() error {
	err := t.put(t.buf)
	t.buf = t.buf[:0]
	return err
}

// put writes p to the file, behind what is there of the tensor.
func (t *TensorWriter) put(p []byte) error {
	if t.slot.written+int64(len(p)) > t.slot.Bytes() {
		return fmt.Errorf("internal: tensor %q overflows", t.slot.Name)
	}
	at := t.slot.at + t.slot.written
	t.w.turn.Lock()
	n, err := t.w.f.WriteAt(p, at)
	t.w.turn.Unlock()
	t.hash.Write(p[:n])
	t.slot.written += int64(n)
	return err
}

var _ io.WriteCloser = (*TensorWriter)(nil)
