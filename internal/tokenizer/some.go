package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// TextError says that a text cannot be cut into tokens.
type TextError struct {
	What    string
	Records bool // it is none, but records in JSON, one a line
}

func (e *TextError) Error() string { return e.What }

const (
	// bytesEach is how much of a text is read for each token that is asked for: rarely
	// does one stand for more.
	bytesEach = 16
	// margin is how many tokens before the end of what was read do not count: what
	// follows may change them.
	margin = 64
	// memoryEach is how many bytes it takes to encode a byte of text, all as one word.
	memoryEach = 90
)

// EncodeSome is Encode of the text that r gives, and reads no further than it takes for
// so many ids (0: all of it). Allow is asked before whether it may take so many bytes of
// memory.
func (t *Tokenizer) EncodeSome(r io.Reader, most int, allow func(bytes int64) error) ([]int, error) {
	var text []byte
	for size := firstPart(most); ; size = min(4*size, MaxText+1) {
		part, err := io.ReadAll(io.LimitReader(r, int64(size-len(text))))
		if err != nil {
			return nil, err
		}
		text = append(text, part...)
		whole := len(text) < size
		if len(text) > MaxText && (most == 0 || size > MaxText) {
			return nil, &TextError{What: fmt.Sprintf("a text of more than %d bytes", MaxText)}
		}
		if isRecords(text) {
			return nil, &TextError{What: "records in JSON", Records: true}
		}
		if err := allow(memoryEach * int64(len(text))); err != nil {
			return nil, err
		}
		ids, err := t.encodePart(text, whole)
		if err != nil {
			return nil, &TextError{What: err.Error()}
		}
		if whole {
			return ids, nil
		}
		if len(ids)-len(t.after)-margin >= most {
			return ids[:most], nil
		}
	}
}

// firstPart is how many bytes are read first.
func firstPart(most int) int {
	if most <= 0 || most > MaxText/bytesEach {
		return MaxText + 1
	}
	return max(1<<16, bytesEach*most)
}

// encodePart encodes a text, which if it is not whole ends where words do, as far as
// there is such a place.
func (t *Tokenizer) encodePart(text []byte, whole bool) ([]int, error) {
	part := string(text)
	if !whole {
		if end := strings.LastIndexAny(part, " \n"); end > len(part)/2 {
			part = part[:end]
		}
		for last := len(part) - 1; last >= 0; last-- { // a character that was cut
			if utf8.RuneStart(part[last]) {
				if !utf8.FullRuneInString(part[last:]) {
					part = part[:last]
				}
				break
			}
		}
	}
	return t.Encode(part)
}

// isRecords reports whether a text begins with a line that is an object in JSON, and
// with the beginning of another if there is more.
func isRecords(text []byte) bool {
	first, rest, more := bytes.Cut(bytes.TrimSpace(text), []byte("\n"))
	return bytes.HasPrefix(first, []byte("{")) && json.Valid(first) && (!more || bytes.HasPrefix(bytes.TrimSpace(rest), []byte("{")))
}
