package gguf

import "fmt"

// Pair is a key with its value. A value is a uint8, int8, uint16, int16, uint32, int32,
// uint64, int64, float32, float64, bool or string, or a slice of one of these.
type Pair struct {
	Key   string
	Value any
}

// These are the keys of a part of a split file: which it is, from 0, how many there are, and how
// many tensors all of them have (ggml-org/llama.cpp: src/llama-arch.cpp, b11434).
const (
	PartKey         = "split.no"
	PartsKey        = "split.count"
	PartsTensorsKey = "split.tensors.count"
)

// Metadata holds the pairs of a file in their order.
type Metadata []Pair

// Value returns the value at key; nil if there is none.
func (m Metadata) Value(key string) any {
	for _, p := range m {
		if p.Key == key {
			return p.Value
		}
	}
	return nil
}

// Uint returns the integer at key, of whatever width, and whether there is one. It returns
// an error if the value is anything else, or negative.
func (m Metadata) Uint(key string) (uint64, bool, error) {
	n := int64(0)
	switch v := m.Value(key).(type) {
	case nil:
		return 0, false, nil
	case uint8:
		n = int64(v)
	case uint16:
		n = int64(v)
	case uint32:
		n = int64(v)
	case uint64:
		return v, true, nil
	case int8:
		n = int64(v)
	case int16:
		n = int64(v)
	case int32:
		n = int64(v)
	case int64:
		n = v
	default:
		return 0, false, wrongType(key, v, "an integer")
	}
	if n < 0 {
		return 0, false, fmt.Errorf("key %q is %d and must not be negative", key, n)
	}
	return uint64(n), true, nil
}

// Float returns the number at key, and whether there is one. A float32 becomes the float64
// of the same shortest decimal notation, which is what its author wrote: 1e-05, not
// 9.999999747378752e-06.
func (m Metadata) Float(key string) (float64, bool, error) {
	switch v := m.Value(key).(type) {
	case nil:
		return 0, false, nil
	case float32:
		return shortest(v), true, nil
	case float64:
		return v, true, nil
	default:
		return 0, false, wrongType(key, v, "a number")
	}
}

// Text returns the string at key, and whether there is one.
func (m Metadata) Text(key string) (string, bool, error) { return typed[string](m, key, "a string") }

// Bool returns the truth value at key, and whether there is one.
func (m Metadata) Bool(key string) (value, there bool, err error) {
	return typed[bool](m, key, "true or false")
}

// Texts returns the array of strings at key, and whether there is one.
func (m Metadata) Texts(key string) ([]string, bool, error) {
	return typed[[]string](m, key, "an array of strings")
}

// Floats returns the array of float32 at key, and whether there is one.
func (m Metadata) Floats(key string) ([]float32, bool, error) {
	return typed[[]float32](m, key, "an array of float32")
}

// Ints returns the array of int32 at key, and whether there is one.
func (m Metadata) Ints(key string) ([]int32, bool, error) {
	return typed[[]int32](m, key, "an array of int32")
}

// typed returns the value at key, which must be a T.
func typed[T any](m Metadata, key, want string) (value T, there bool, err error) {
	found := m.Value(key)
	if found == nil {
		return value, false, nil
	}
	value, there = found.(T)
	if !there {
		return value, false, wrongType(key, found, want)
	}
	return value, true, nil
}

func wrongType(key string, value any, want string) error {
	return fmt.Errorf("key %q is a value of type %T and must be %s", key, value, want)
}
