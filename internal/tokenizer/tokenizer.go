package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"unicode/utf8"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/fault"
)

// UnsupportedError says that a tokenizer asks for something that is not implemented here.
type UnsupportedError struct {
	Path  string // the file
	Where string // the part of the file
	What  string // what the file asks for
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%q: %s: %s is not supported", e.Path, e.Where, e.What)
}

// Kind says that the model cannot be converted or loaded.
func (e *UnsupportedError) Kind() fault.Kind { return fault.Unsupported }

// Hint says what to do about the error.
func (e *UnsupportedError) Hint() string {
	return "tokenize the text with the model's own tools, and use a file of token ids"
}

// unsupported returns an UnsupportedError without a path. Open knows the path and fills it
// in.
func unsupported(where, format string, args ...any) error {
	return &UnsupportedError{Where: where, What: fmt.Sprintf(format, args...)}
}

// Tokenizer turns text into token ids. It may be used concurrently.
type Tokenizer struct {
	text          encoder
	before, after []int // the ids that precede and follow every text
	vocab         int   // the largest id plus one
}

// encoder appends the ids of a text to ids. The text is valid UTF-8 and not empty.
type encoder interface {
	encode(ids []int, text string) ([]int, error)
}

// maxFile is the size in bytes of the largest file of a tokenizer that is read. A tokenizer
// of many languages has 33 MB.
const maxFile = 256 << 20

// Files are those beside the weights of a checkpoint. Beside returns the content of one, of at
// most so many bytes, and the path that it is read from, or fs.ErrNotExist.
type Files interface {
	Beside(name string, most int64) (content []byte, path string, err error)
}

// Open reads the tokenizer of a checkpoint, from tokenizer.json, or if that is not there from
// tokenizer.model. It returns fs.ErrNotExist if there is neither, an UnsupportedError if the
// tokenizer needs something that is not implemented here, and a checkpoint.FormatError if the
// file is malformed.
func Open(src Files) (*Tokenizer, error) {
	parse := parseJSON
	data, path, err := src.Beside("tokenizer.json", maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		missing := err
		parse = parseModel
		data, path, err = src.Beside("tokenizer.model", maxFile)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("neither tokenizer.json nor tokenizer.model: %w", missing)
		}
	}
	if err != nil {
		return nil, err
	}
	t, err := parse(data)
	var refusal *UnsupportedError
	switch {
	case errors.As(err, &refusal):
		refusal.Path = path
		return nil, refusal
	case err != nil:
		return nil, &checkpoint.FormatError{Path: path, What: err.Error()}
	}
	return t, nil
}

// MaxText is the length in bytes of the longest text. Places in it fit 32 bits, even after
// all steps that make the text longer.
const MaxText = 1 << 28

// Encode returns the ids of text, which is a whole document. The ids begin with the
// tokenizer's begin-of-text token, if it has one. It returns an error if the text is longer
// than MaxText or is not UTF-8.
func (t *Tokenizer) Encode(text string) ([]int, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("a text of %d bytes; at most %d are encoded at once", len(text), MaxText)
	}
	if at := invalid(text); at >= 0 {
		return nil, fmt.Errorf("the text is not UTF-8, at byte %d", at)
	}
	ids := append([]int(nil), t.before...)
	if text != "" {
		var err error
		if ids, err = t.text.encode(ids, text); err != nil {
			return nil, err
		}
	}
	return append(ids, t.after...), nil
}

// Vocab returns the largest id plus one.
func (t *Tokenizer) Vocab() int { return t.vocab }

// invalid returns the first byte of text that is not UTF-8; -1 if there is none.
func invalid(text string) int {
	if utf8.ValidString(text) {
		return -1
	}
	for at, r := range text {
		if r == utf8.RuneError {
			_, size := utf8.DecodeRuneInString(text[at:])
			if size == 1 {
				return at
			}
		}
	}
	return -1
}
