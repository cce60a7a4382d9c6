package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/gguf"
	"github.com/mha2mla/mha2mla/internal/tokenizer"
)

// UnsupportedError says that a GGUF file cannot have the vocabulary of a model.
type UnsupportedError struct{ What string }

func (e *UnsupportedError) Error() string { return "no GGUF file can be written: " + e.What }

// Kind says that the model cannot be converted or loaded.
func (e *UnsupportedError) Kind() fault.Kind { return fault.Unsupported }

// Hint says what to do about the error.
func (e *UnsupportedError) Hint() string {
	return "name a directory for OUT; llama.cpp's convert_hf_to_gguf.py may know how to make a GGUF file of it"
}

// Vocabulary returns what a GGUF file says of the tokens of a source and of the template of its
// chats. Config is the text of the source's config.json, and size the number of tokens that its
// embedding has. Vocabulary returns an UnsupportedError where llama.cpp would cut a text into
// other tokens, or nobody knows.
func Vocabulary(src *checkpoint.Source, config []byte, size int) (gguf.Metadata, error) {
	if source := src.GGUF(); source != nil {
		return passed(source, "tokenizer."), nil
	}
	files := beside{src}
	if _, err := tokenizer.Open(files); err != nil {
		return nil, explained(err)
	}
	parse := (*vocabulary).bytePairs
	text, _, err := files.Beside("tokenizer.json", maxFile)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !isByteLevel(text) {
		parse = (*vocabulary).pieces
		text, _, err = files.Beside("tokenizer.model", maxFile)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &UnsupportedError{"the scores of this vocabulary's pieces are in a tokenizer.model, and there is none"}
		}
	}
	if err != nil {
		return nil, err
	}
	v := &vocabulary{size: size, files: files}
	if err := v.read(config); err != nil {
		return nil, err
	}
	if err := parse(v, text); err != nil {
		return nil, err
	}
	return v.keys()
}

// maxFile is the size in bytes of the largest file of a tokenizer that is read.
const maxFile = 256 << 20

// explained makes an UnsupportedError of one that says why a tokenizer cannot be read.
func explained(err error) error {
	var unknown *tokenizer.UnsupportedError
	switch {
	case errors.As(err, &unknown):
		return &UnsupportedError{fmt.Sprintf("how its vocabulary cuts up a text is not known here (%s: %s)", unknown.Where, unknown.What)}
	case errors.Is(err, fs.ErrNotExist):
		return &UnsupportedError{"the source has no tokenizer.json or tokenizer.model, and the file needs a vocabulary"}
	default:
		return err
	}
}

// beside reads files beside the weights, but none that a link leads out of the source: their
// content would be published.
type beside struct{ *checkpoint.Source }

// Beside is that of checkpoint.Source.
func (b beside) Beside(name string, most int64) (content []byte, path string, err error) {
	inside, err := b.Holds(name)
	if err == nil && !inside {
		err = &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, name, err
	}
	return b.Source.Beside(name, most)
}

// decode reads a JSON file. It leaves into alone if there is none.
func (b beside) decode(name string, into any) error {
	text, path, err := b.Beside(name, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return &checkpoint.FormatError{Path: path, What: err.Error()}
	}
	return nil
}

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
