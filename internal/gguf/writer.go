package gguf

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// version is that of the files that are written.
const version = 3

// Spec declares a tensor of a file to be written.
type Spec struct {
	Name  string
	Type  Type
	Shape []int64 // the last dimension is contiguous, and holds whole blocks of the type
}

// Bytes returns the size of the tensor's data.
func (s Spec) Bytes() int64 {
	t := Tensor{Shape: s.Shape}
	return t.Elements() / types[s.Type].numbers * types[s.Type].bytes
}

// Header returns what a file with the given keys and tensors begins with, up to the data, and
// where the data of each tensor begin in the file. The data of one begin where those of the
// one before end, up to the alignment. The last of the places is where the file ends.
func Header(m Metadata, specs []Spec) (head []byte, places []int64, err error) {
	w := &writer{}
	w.Write([]byte(Magic))
	w.number(uint32(version))
	w.number(uint64(len(specs)))
	w.number(uint64(len(m)))
	for _, p := range m {
		w.text(p.Key)
		if err := w.value(p.Value); err != nil {
			return nil, nil, fmt.Errorf("key %q: %w", p.Key, err)
		}
	}
	at := int64(0)
	for _, s := range specs {
		if len(s.Name) > maxName {
			return nil, nil, fmt.Errorf("tensor %q: a name has at most %d bytes", s.Name, maxName)
		}
		w.text(s.Name)
		w.number(uint32(len(s.Shape)))
		for i := range s.Shape {
			w.number(uint64(s.Shape[len(s.Shape)-1-i]))
		}
		w.number(uint32(s.Type))
		w.number(uint64(at))
		places = append(places, at)
		at = padded(at+s.Bytes(), defaultAlignment)
	}
	places = append(places, at)
	w.Write(make([]byte, padded(int64(w.Len()), defaultAlignment)-int64(w.Len())))
	for i := range places {
		places[i] += int64(w.Len())
	}
	return w.Bytes(), places, nil
}

// writer appends the parts of a header. Nothing of it fails.
type writer struct{ bytes.Buffer }

func (w *writer) number(v any) {
	if err := binary.Write(w, binary.LittleEndian, v); err != nil {
		panic("gguf: " + err.Error()) // it is given numbers alone
	}
}

func (w *writer) text(s string) {
	w.number(uint64(len(s)))
	w.WriteString(s)
}

// value appends a value with its type.
func (w *writer) value(v any) error {
	if kind, ok := kindOf(v); ok {
		w.number(kind)
		if s, ok := v.(string); ok {
			w.text(s)
		} else {
			w.number(v)
		}
		return nil
	}
	kind, n, ok := elementsOf(v)
	if !ok {
		return fmt.Errorf("a value of type %T has no place in a GGUF file", v)
	}
	w.number(typeArray)
	w.number(kind)
	w.number(uint64(n))
	if all, ok := v.([]string); ok {
		for _, s := range all {
			w.text(s)
		}
		return nil
	}
	w.number(v)
	return nil
}

// kindOf returns the type of a single value.
func kindOf(v any) (kind uint32, ok bool) {
	switch v.(type) {
	case uint8:
		return typeUint8, true
	case int8:
		return typeInt8, true
	case uint16:
		return typeUint16, true
	case int16:
		return typeInt16, true
	case uint32:
		return typeUint32, true
	case int32:
		return typeInt32, true
	case float32:
		return typeFloat32, true
	case bool:
		return typeBool, true
	case string:
		return typeString, true
	case uint64:
		return typeUint64, true
	case int64:
		return typeInt64, true
	case float64:
		return typeFloat64, true
	}
	return 0, false
}

// elementsOf returns the type of the elements of an array, and their number.
func elementsOf(v any) (kind uint32, n int, ok bool) {
	switch v := v.(type) {
	case []uint8:
		return typeUint8, len(v), true
	case []int8:
		return typeInt8, len(v), true
	case []uint16:
		return typeUint16, len(v), true
	case []int16:
		return typeInt16, len(v), true
	case []uint32:
		return typeUint32, len(v), true
	case []int32:
		return typeInt32, len(v), true
	case []float32:
		return typeFloat32, len(v), true
	case []bool:
		return typeBool, len(v), true
	case []string:
		return typeString, len(v), true
	case []uint64:
		return typeUint64, len(v), true
	case []int64:
		return typeInt64, len(v), true
	case []float64:
		return typeFloat64, len(v), true
	}
	return 0, 0, false
}
