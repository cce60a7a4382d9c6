package export

import (
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/gguf"
)

// UnsupportedError says that a GGUF file cannot have the vocabulary of a model.
type UnsupportedError struct {
	What string
	Tip  string
}

func (e *UnsupportedError) Error() string { return e.What }

// Kind says that the model cannot be converted or loaded.
func (e *UnsupportedError) Kind() fault.Kind { return fault.Unsupported }

// Hint says what to do about the error.
func (e *UnsupportedError) Hint() string { return e.Tip }

// Vocabulary returns what a GGUF file says of the tokens of a source and of the template of its
// chats. It returns an UnsupportedError if that is not known.
func Vocabulary(src *checkpoint.Source) (gguf.Metadata, error) {
	if src.GGUF() == nil {
		return nil, &UnsupportedError{"a GGUF file is made of a GGUF file, whose vocabulary it takes", "name a directory for OUT, and have the converter of llama.cpp make a GGUF file of it"}
	}
	return passed(src.GGUF(), "tokenizer."), nil
}

// General returns what a GGUF file says of whom a model is from and what may be done with it.
func General(src *checkpoint.Source) gguf.Metadata { return passed(src.GGUF(), "general.") }

// passed lists those pairs of the source that begin with a prefix and that say nothing of how
// its own tensors are stored.
func passed(source gguf.Metadata, prefix string) gguf.Metadata {
	var m gguf.Metadata
	for _, p := range source {
		switch p.Key {
		case "general.architecture", "general.type", "general.file_type", "general.quantization_version", gguf.AlignmentKey:
		default:
			if strings.HasPrefix(p.Key, prefix) {
				m = append(m, p)
			}
		}
	}
	return m
}
