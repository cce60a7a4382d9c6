package checkpoint

import (
	"errors"
	"fmt"
	"math"

	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/gguf"
	"github.com/mha2mla/mha2mla/internal/llamacpp"
	"github.com/mha2mla/mha2mla/internal/option"
)

// ggufTypes are the types of tensors in GGUF files.
var ggufTypes = map[DType]gguf.Type{F32: gguf.F32, F16: gguf.F16, BF16: gguf.BF16, Q8_0: gguf.Q8_0}

// NewGGUFWriter is NewWriter for a GGUF file. Specs have the names of Hugging Face, but in the
// file, and in the writer's digests, tensors have those of llama.cpp. Their data lie in the
// order of the specs.
func NewGGUFWriter(f fsys.File, specs []Spec, metadata gguf.Metadata) (*Writer, error) {
	w := &Writer{f: f, slot: make(map[string]*slot, len(specs))}
	if err := w.begin(specs, metadata); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return w, nil
}

// begin writes the header of a GGUF file, and the padding after its last tensor.
func (w *Writer) begin(specs []Spec, metadata gguf.Metadata) error {
	stored := make([]gguf.Spec, len(specs))
	for i, s := range specs {
		name, ok := llamacpp.Name(s.Name)
		kind, known := ggufTypes[s.DType]
		if !ok || !known {
			return fmt.Errorf("internal: tensor %q of type %s has no place in a GGUF file", s.Name, s.DType)
		}
		stored[i] = gguf.Spec{Name: name, Type: kind, Shape: s.Shape}
	}
	head, places, err := gguf.Header(metadata, stored)
	if err != nil {
		return err
	}
	w.header = DigestBytes(head)
	for i, s := range specs {
		w.slot[s.Name] = &slot{Spec: s, stored: stored[i].Name, at: places[i]}
	}
	if _, err := w.f.Write(head); err != nil {
		return err
	}
	last := len(specs) - 1
	if last < 0 {
		return nil
	}
	data := places[last] + specs[last].Bytes()
	_, err = w.f.WriteAt(make([]byte, places[last+1]-data), data)
	return err
}

// writeBlocks is WriteFloats for Q8_0. Numbers wait until there are enough for a block.
func (t *TensorWriter) writeBlocks(values []float64) error {
	var block [gguf.Q8Bytes]byte
	for _, v := range values {
		if !(math.Abs(v) <= Q8_0.Largest()) { // a block has no room for NaN either
			at := (t.slot.written+int64(len(t.buf)))/gguf.Q8Bytes*gguf.Q8Numbers + int64(len(t.waiting))
			return &ValueError{t.slot.Name, position(at, t.slot.Shape), v, "does not fit " + string(Q8_0), option.Textf("write another type with %v", option.DType)}
		}
		t.waiting = append(t.waiting, float32(v))
		if len(t.waiting) < gguf.Q8Numbers {
			continue
		}
		gguf.EncodeQ8_0(block[:], t.waiting)
		t.waiting = t.waiting[:0]
		if _, err := t.Write(block[:]); err != nil {
			return err
		}
	}
	return nil
}
