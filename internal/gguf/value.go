package gguf

import (
	"bytes"
	"encoding/binary"
)

// These are the types of values (ggml-org/llama.cpp: ggml/include/gguf.h, b11434).
const (
	typeUint8 uint32 = iota
	typeInt8
	typeUint16
	typeInt16
	typeUint32
	typeInt32
	typeFloat32
	typeBool
	typeString
	typeArray
	typeUint64
	typeInt64
	typeFloat64
)

// value reads the value of a key.
func (r *reader) value(key string) any {
	switch kind := r.u32(); {
	case r.err != nil:
		return nil
	case kind == typeArray:
		return r.array(key)
	case kind == typeString:
		return r.text(r.limit)
	case kind == typeUint8:
		return one[uint8](r, 1)
	case kind == typeInt8:
		return one[int8](r, 1)
	case kind == typeUint16:
		return one[uint16](r, 2)
	case kind == typeInt16:
		return one[int16](r, 2)
	case kind == typeUint32:
		return one[uint32](r, 4)
	case kind == typeInt32:
		return one[int32](r, 4)
	case kind == typeFloat32:
		return one[float32](r, 4)
	case kind == typeUint64:
		return one[uint64](r, 8)
	case kind == typeInt64:
		return one[int64](r, 8)
	case kind == typeFloat64:
		return one[float64](r, 8)
	case kind == typeBool:
		return r.boolean(key)
	default:
		r.fail("key %q has a value of an unknown type, %d", key, kind)
		return nil
	}
}

// array reads an array, whose elements have one type.
func (r *reader) array(key string) any {
	switch kind := r.u32(); {
	case r.err != nil:
		return nil
	case kind == typeString:
		n := r.count("strings", 8)
		var all []string
		for i := int64(0); i < n && r.err == nil; i++ {
			all = append(all, r.text(r.limit))
		}
		return all
	case kind == typeBool:
		n := r.count("elements", 1)
		var all []bool
		for i := int64(0); i < n && r.err == nil; i++ {
			all = append(all, r.boolean(key))
		}
		return all
	case kind == typeUint8:
		return many[uint8](r, 1)
	case kind == typeInt8:
		return many[int8](r, 1)
	case kind == typeUint16:
		return many[uint16](r, 2)
	case kind == typeInt16:
		return many[int16](r, 2)
	case kind == typeUint32:
		return many[uint32](r, 4)
	case kind == typeInt32:
		return many[int32](r, 4)
	case kind == typeFloat32:
		return many[float32](r, 4)
	case kind == typeUint64:
		return many[uint64](r, 8)
	case kind == typeInt64:
		return many[int64](r, 8)
	case kind == typeFloat64:
		return many[float64](r, 8)
	case kind == typeArray:
		r.fail("key %q is an array of arrays, which no model has", key)
		return nil
	default:
		r.fail("key %q is an array of an unknown type, %d", key, kind)
		return nil
	}
}

func (r *reader) boolean(key string) bool {
	var b [1]byte
	r.fill(b[:])
	if b[0] > 1 {
		r.fail("key %q has a truth value of %d", key, b[0])
	}
	return b[0] == 1
}

// one reads a number of so many bytes.
func one[T any](r *reader, size int) (value T) {
	b := make([]byte, size)
	r.fill(b)
	decodeInto(b, &value)
	return value
}

// many reads an array of numbers of so many bytes each.
func many[T any](r *reader, size int64) []T {
	n := r.count("elements", size)
	b := make([]byte, n*size)
	r.fill(b)
	values := make([]T, n)
	decodeInto(b, values)
	return values
}

// decodeInto decodes little-endian numbers.
func decodeInto(b []byte, into any) {
	if err := binary.Read(bytes.NewReader(b), binary.LittleEndian, into); err != nil {
		panic("gguf: " + err.Error()) // the buffer was made for it
	}
}
