package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// pipeline holds the steps of a tokenizer.json that turn a text into ids.
type pipeline struct {
	raw        added // tokens that are cut out of the text as it is
	normalized added // tokens that are cut out of the normalized text
	normalize  []func(string) string
	steps      []step
	model      *bpe
}

// A step cuts a piece of the normalized text into smaller pieces and appends them to words.
// None of them is empty. The argument first says that the text begins with the piece.
type step func(words []string, piece string, first bool) []string

const (
	maxWords    = 1 << 15 // most words whose ids are remembered; few texts have more
	maxWordSize = 64      // length in bytes of the longest word that is remembered
)

func (p *pipeline) encode(ids []int, text string) ([]int, error) {
	var m merger
	known := map[string][]int{} // each text has its own map, so that encoding needs no lock
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

// cut applies all steps to a piece and returns the words that it is cut into.
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

// digits returns a scanner that finds runs of digits, or single digits, and runs of all
// other characters.
func digits(single bool) scanner {
	return func(text string) int {
		first, size := utf8.DecodeRuneInString(text)
		switch {
		case !unicode.IsNumber(first):
			return run(text, func(r rune) bool { return !unicode.IsNumber(r) })
		case single:
			return size
		default:
			return run(text, unicode.IsNumber)
		}
	}
}

// byteLevel returns a step that writes each byte as a visible character. With prefix, a
// piece gets a space in front if it has none. If scan is not nil, the piece is then cut by
// it.
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

// byteChars holds the character that GPT-2 writes for each byte. Bytes that are visible
// characters in Latin-1 stand for themselves. The others get the characters that follow
// Latin-1, in order.
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

// space is the character that SentencePiece writes for a space.
const space = "▁"

// metaspace returns a step that writes spaces as ▁. The function prepend says whether a
// piece that does not begin with ▁ gets one. With cut, each ▁ begins a word.
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
