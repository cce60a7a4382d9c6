package llamacpp

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/gguf"
)

// UnsupportedError says that a GGUF file is sound and holds what the program does not read.
type UnsupportedError struct {
	What string
	Tip  string
}

func (e *UnsupportedError) Error() string { return e.What }

// Kind says that the model cannot be converted or loaded.
func (e *UnsupportedError) Kind() fault.Kind { return fault.Unsupported }

// Hint says what to do about the error.
func (e *UnsupportedError) Hint() string { return e.Tip }

// Tensor is a tensor as a Hugging Face checkpoint has it.
type Tensor struct {
	Name  string
	DType string // as safetensors spells it
	Shape []int64
	Data  io.ReaderAt // row-major and little-endian
}

// Model is a model as a Hugging Face checkpoint holds it.
type Model struct {
	Tensors   []Tensor
	Config    []byte // the text of config.json
	Quantised bool   // tensors were stored in blocks of fewer bits than they have here
	Metadata  gguf.Metadata
}

// Read describes the model of a GGUF file, or of the parts of a split one in their order. An
// error other than an UnsupportedError says that the content of the file is wrong.
func Read(parts []*gguf.File) (*Model, error) {
	m := &Model{Metadata: parts[0].Metadata}
	k := &keys{Metadata: m.Metadata}
	k.arch = k.text("general.architecture")
	kind := k.text("general.type")
	if k.err != nil {
		return nil, k.err
	}
	if kind != "" && kind != "model" {
		return nil, &UnsupportedError{fmt.Sprintf("a GGUF file of type %q holds no model", kind), "name the file of the model itself"}
	}
	arch, ok := architectures[k.arch]
	if !ok {
		return nil, &UnsupportedError{fmt.Sprintf("GGUF files of architecture %q are not supported", k.arch), "supported: " + strings.Join(known(), ", ") + "; of others, name the checkpoint that the file was made of"}
	}
	t := &tensors{stored: make(map[string]*gguf.Tensor)}
	for _, part := range parts {
		for _, tensor := range part.Tensors {
			if t.stored[tensor.Name] != nil {
				return nil, fmt.Errorf("tensor %q is there twice", tensor.Name)
			}
			t.stored[tensor.Name] = tensor
			if !tensor.Type.Readable() {
				return nil, &UnsupportedError{fmt.Sprintf("tensor %q is stored as %v, which is not read", tensor.Name, tensor.Type), "take a file of another quantisation: F32, BF16, F16, Q8_0, Q6_K, Q5_K, Q4_K, Q5_1, Q5_0, Q4_1, Q4_0"}
			}
			m.Quantised = m.Quantised || !tensor.Type.Plain()
		}
	}
	c := arch.read(k, t)
	if k.err != nil {
		return nil, k.err
	}
	if m.Tensors, ok = t.presented(arch, c); !ok {
		return nil, t.err
	}
	text, err := c.encode()
	m.Config = text
	return m, err
}

// known lists the architectures that are read.
func known() []string {
	var names []string
	for name := range architectures {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// keys reads the values of keys and keeps the first error.
type keys struct {
	gguf.Metadata
	arch string
	err  error
}

// keep returns a value that was read, and keeps the error.
func keep[T any](k *keys, v T, there bool, err error) (T, bool) {
	if k.err == nil {
		k.err = err
	}
	return v, there
}

// of returns the full name of a key of the architecture.
func (k *keys) of(name string) string { return k.arch + "." + name }

func (k *keys) text(key string) string {
	v, there, err := k.Text(key)
	v, _ = keep(k, v, there, err)
	return v
}

// integer returns the integer at a key of the architecture; fallback if it is not there. A
// negative fallback makes the key required.
func (k *keys) integer(name string, fallback int64) int64 {
	v, there, err := k.Uint(k.of(name))
	v, there = keep(k, v, there, err)
	switch {
	case k.err != nil:
	case !there && fallback < 0:
		k.err = fmt.Errorf("key %q is missing", k.of(name))
	case !there:
		return fallback
	case v >= 1<<31:
		k.err = fmt.Errorf("key %q is %d and must be below 2^31", k.of(name), v)
	}
	return int64(v)
}

// number returns the number at a key of the architecture; fallback if it is not there.
func (k *keys) number(name string, fallback float64) float64 {
	v, there, err := k.Float(k.of(name))
	if v, there = keep(k, v, there, err); there {
		return v
	}
	return fallback
}
