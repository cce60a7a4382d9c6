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
	Records bool // the text is no prose, but a record in JSON on each line
}

func (e *TextError) Error() string { return e.What }

const (
	// bytesEach is how many bytes of a text are read at first for each token that the
	// caller wants. A token rarely stands for more.
	bytesEach = 16
	// margin is how many tokens at the end of a part do not count, because the text that
	// follows may change them.
	margin = 64
	// memoryEach is how many bytes of memory it takes to encode a byte of text, in the
	// worst case that the text is one word.
	memoryEach = 90
)

// EncodeSome returns the first ids of the text that r gives, at most most of them, and reads
// no further than that takes. If most is 0, it encodes the whole text. Before it takes
// memory, it asks allow with the number of bytes, and returns the error of allow. It returns
// a TextError if the text cannot be cut into tokens.
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

// firstPart returns how many bytes of a text are read at first.
func firstPart(most int) int {
	if most <= 0 || most > MaxText/bytesEach {
		return MaxText + 1
	}
	return max(1<<16, bytesEach*most)
}

// encodePart encodes a text. If that is not the whole text, encodePart leaves out the last
// word if it can, because the word may go on, and a character that was cut.
func (t *Tokenizer) encodePart(text []byte, whole bool) ([]int, error) {
	part := string(text)
	if !whole {
		end := strings.LastIndexAny(part, " \n")
		if end > len(part)/2 {
			part = part[:end]
		}
		for last := len(part) - 1; last >= 0; last-- { // the last character may have been cut
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

// isRecords reports whether the first line of a text is an object in JSON and a second
// line, if there is one, begins another.
func isRecords(text []byte) bool {
	first, rest, more := bytes.Cut(bytes.TrimSpace(text), []byte("\n"))
	return bytes.HasPrefix(first, []byte("{")) && json.Valid(first) && (!more || bytes.HasPrefix(bytes.TrimSpace(rest), []byte("{")))
}
