package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"unicode/utf8"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/fault"
)

// UnsupportedError says that a tokenizer asks for what is not implemented.
type UnsupportedError struct {
	Path  string // the file
	Where string // the part of the file
	What  string // what it asks for
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

// unsupported returns an UnsupportedError whose path the caller of the parsers
// fills in.
func unsupported(where, format string, args ...any) error {
	return &UnsupportedError{Where: where, What: fmt.Sprintf(format, args...)}
}

// Tokenizer turns text into token ids. It may be used concurrently.
type Tokenizer struct {
	text          encoder
	before, after []int // the ids around every text
	vocab         int
}

// encoder appends the ids of a text, which is valid UTF-8 and not empty.
type encoder interface {
	encode(ids []int, text string) ([]int, error)
}

// maxFile is the size of the largest file of a tokenizer that is read: those of
// many languages have 33 MB.
const maxFile = 256 << 20

// Open reads the tokenizer of the checkpoint in dir: tokenizer.json, else
// tokenizer.model. If there is neither, the error is fs.ErrNotExist.
func Open(dir string) (*Tokenizer, error) {
	path := filepath.Join(dir, "tokenizer.json")
	parse := parseJSON
	data, err := checkpoint.ReadFile(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		missing := err
		path, parse = filepath.Join(dir, "tokenizer.model"), parseModel
		if data, err = checkpoint.ReadFile(path, maxFile); errors.Is(err, fs.ErrNotExist) {
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

// MaxText bounds a text so that places in it fit 32 bits even after all that
// makes it longer.
const MaxText = 1 << 28

// Encode returns the ids of text, a document of its own: the tokenizer's
// begin-of-text token, if it has one, precedes them.
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

// Vocab returns the number that every id is below.
func (t *Tokenizer) Vocab() int { return t.vocab }

// invalid returns where text stops being UTF-8, or -1.
func invalid(text string) int {
	if utf8.ValidString(text) {
		return -1
	}
	for at, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[at:]); size == 1 {
				return at
			}
		}
	}
	return -1
}
