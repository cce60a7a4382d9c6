package strictjson

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth is the deepest nesting that the reference reader of safetensors accepts.
const maxDepth = 128

// Reader reads one JSON value, member by member.
type Reader struct{ dec *jsontext.Decoder }

// NewReader returns a Reader of the JSON text in r.
func NewReader(r io.Reader) *Reader { return &Reader{jsontext.NewDecoder(r)} }

// Object reads an object and calls member with each name. The function member reads the
// value.
func (r *Reader) Object(member func(name string) error) error {
	if err := r.open('{', "an object"); err != nil {
		return err
	}
	for r.dec.PeekKind() != '}' {
		name, err := r.String()
		if err != nil {
			return err
		}
		if err := member(name); err != nil {
			return err
		}
	}
	_, err := r.token()
	return err
}

// Array reads an array and calls element before each value. The function element reads the
// value.
func (r *Reader) Array(element func() error) error {
	if err := r.open('[', "an array"); err != nil {
		return err
	}
	for r.dec.PeekKind() != ']' {
		if err := element(); err != nil {
			return err
		}
	}
	_, err := r.token()
	return err
}

// AtArray reports whether the next value is an array.
func (r *Reader) AtArray() bool { return r.dec.PeekKind() == '[' }

// AtNull reports whether the next value is null.
func (r *Reader) AtNull() bool { return r.dec.PeekKind() == 'n' }

// String reads a string, and returns an error if the next value is none.
func (r *Reader) String() (string, error) {
	tok, err := r.token()
	if err != nil {
		return "", err
	}
	if tok.Kind() != '"' {
		return "", r.unexpected(tok, "a string")
	}
	return tok.String(), nil
}

// Uint reads a non-negative integer that is written with digits alone, and returns an error
// if the next value is none.
func (r *Reader) Uint() (uint64, error) {
	tok, err := r.token()
	if err != nil {
		return 0, err
	}
	if tok.Kind() != '0' {
		return 0, r.unexpected(tok, "a non-negative integer")
	}
	n, err := strconv.ParseUint(tok.String(), 10, 64)
	if err != nil {
		return 0, r.unexpected(tok, "a non-negative integer")
	}
	return n, nil
}

// Skip reads a value of any kind and drops it.
func (r *Reader) Skip() error {
	for depth := r.dec.StackDepth(); ; {
		if _, err := r.token(); err != nil {
			return err
		}
		if r.dec.StackDepth() == depth {
			return nil
		}
	}
}

// Span reads a value of any kind. It returns the first byte of its text and the byte after
// the last, counted from the beginning of the JSON.
func (r *Reader) Span() (from, to int64, err error) {
	value, err := r.dec.ReadValue()
	to = r.dec.InputOffset()
	return to - int64(len(value)), to, explain(err)
}

// End returns an error if anything but white space follows.
func (r *Reader) End() error {
	tok, err := r.dec.ReadToken()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return explain(err)
	default:
		return r.unexpected(tok, "the end")
	}
}

// open reads the beginning of an object or array.
func (r *Reader) open(kind jsontext.Kind, want string) error {
	tok, err := r.token()
	if err == nil && tok.Kind() != kind {
		err = r.unexpected(tok, want)
	}
	return err
}

func (r *Reader) token() (jsontext.Token, error) {
	tok, err := r.dec.ReadToken()
	if err != nil {
		return tok, explain(err)
	}
	if r.dec.StackDepth() > maxDepth {
		return tok, fmt.Errorf("nested deeper than %d, at byte %d", maxDepth, r.dec.InputOffset())
	}
	return tok, nil
}

// unexpected returns the error that tok, which was just read, stands where something else
// belongs.
func (r *Reader) unexpected(tok jsontext.Token, want string) error {
	const most = 60
	text := tok.String()
	if len(text) > most {
		text = text[:most] + "…"
	}
	return fmt.Errorf("%q where %s belongs, before byte %d", text, want, r.dec.InputOffset())
}

// explain turns the decoder's errors into words that a user understands.
func explain(err error) error {
	var syntax *jsontext.SyntacticError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the JSON ends too early")
	case errors.Is(err, jsontext.ErrDuplicateName):
		return fmt.Errorf("duplicate name in the JSON: %w", err)
	case errors.As(err, &syntax):
		return fmt.Errorf("invalid JSON: %w", err)
	default:
		return err
	}
}
