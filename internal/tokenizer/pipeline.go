package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// pipeline is what a tokenizer.json does to a text.
type pipeline struct {
	raw        added // looked for in the text as it is
	normalized added // looked for in the normalized text
	normalize  []func(string) string
	steps      []step
	model      *bpe
}

// A step cuts a piece of the normalized text into smaller ones, none of them
// empty, and appends them. First says that the text begins with the piece.
type step func(words []string, piece string, first bool) []string

const (
	maxWords    = 1 << 15 // words whose ids are remembered; more than most texts have
	maxWordSize = 64      // bytes of such a word
)

func (p *pipeline) encode(ids []int, text string) ([]int, error) {
	var m merger
	known := map[string][]int{} // per text, so that encoding needs no lock
	words := func(piece string, first bool) error {
		for _, word := range p.cut(piece, first) {
			if these, ok := known[word]; ok {
				ids = append(ids, these...)
				continue
			}
			before := len(ids)
			var err error
			if ids, err = p.model.word(ids, word, &m); err != nil {
				return err
			}
			if len(word) <= maxWordSize && len(known) < maxWords {
				known[word] = append([]int(nil), ids[before:]...)
			}
		}
		return nil
	}
	found := func(id int) { ids = append(ids, id) }
	err := p.raw.split(text, func(piece string, at int) error {
		for _, normalize := range p.normalize {
			piece = normalize(piece)
		}
		return p.normalized.split(piece, func(piece string, within int) error {
			return words(piece, at == 0 && within == 0)
		}, found)
	}, found)
	return ids, err
}

// cut cuts a piece into words.
func (p *pipeline) cut(piece string, first bool) []string {
	words := []string{piece}
	for _, step := range p.steps {
		var next []string
		for i, word := range words {
			next = step(next, word, first && i == 0)
		}
		words = next
	}
	return words
}

// splitBy returns a step that cuts a piece into the words that scan finds.
func splitBy(scan scanner) step {
	return func(words []string, piece string, _ bool) []string {
		for piece != "" {
			n := scan(piece)
			words = append(words, piece[:n])
			piece = piece[n:]
		}
		return words
	}
}

// digits finds runs of numbers, or single ones, and runs of everything else.
func digits(single bool) scanner {
	return func(text string) int {
		switch first, size := utf8.DecodeRuneInString(text); {
		case !unicode.IsNumber(first):
			return run(text, func(r rune) bool { return !unicode.IsNumber(r) })
		case single:
			return size
		default:
			return run(text, unicode.IsNumber)
		}
	}
}

// byteLevel returns the step that writes each byte as a character that can be
// seen. With prefix, a piece begins with a space; with scan, it is cut first.
func byteLevel(prefix bool, scan scanner) step {
	return func(words []string, piece string, first bool) []string {
		if prefix && piece[0] != ' ' {
			piece = " " + piece
		}
		from := len(words)
		if scan == nil {
			words = append(words, piece)
		} else {
			words = splitBy(scan)(words, piece, first)
		}
		for i := from; i < len(words); i++ {
			words[i] = visible(words[i])
		}
		return words
	}
}

// byteChars are the characters that GPT-2 writes for the bytes: those of
// Latin-1 that can be seen, and for the others, in order, what follows Latin-1.
var byteChars = func() (chars [256]string) {
	next := rune(256)
	for b := range rune(256) {
		if '!' <= b && b <= '~' || '¡' <= b && b <= '¬' || '®' <= b && b <= 'ÿ' {
			chars[b] = string(b)
		} else {
			chars[b] = string(next)
			next++
		}
	}
	return chars
}()

// visible writes each byte of word as its character.
func visible(word string) string {
	if run(word, func(r rune) bool { return '!' <= r && r <= '~' }) == len(word) {
		return word
	}
	var s strings.Builder
	s.Grow(2 * len(word))
	for i := range len(word) {
		s.WriteString(byteChars[word[i]])
	}
	return s.String()
}

// space is what SentencePiece writes for a space.
const space = "▁"

// metaspace returns the step that writes spaces as ▁. Prepend says whether a
// piece that does not begin with one gets one; with cut, each ▁ begins a word.
func metaspace(prepend func(first bool) bool, cut bool) step {
	return func(words []string, piece string, first bool) []string {
		piece = strings.ReplaceAll(piece, " ", space)
		if prepend(first) && !strings.HasPrefix(piece, space) {
			piece = space + piece
		}
		for cut {
			n := strings.Index(piece[1:], space) + 1
			if n == 0 {
				break
			}
			words = append(words, piece[:n])
			piece = piece[n:]
		}
		return append(words, piece)
	}
}
