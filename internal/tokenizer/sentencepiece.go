package tokenizer

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// sentencePiece encodes like SentencePiece's BPE: the whole text is one word,
// and two neighbours merge if what they spell is a piece, best score first.
type sentencePiece struct {
	pieces       map[string]spMerge
	longest      int32 // in bytes, of the pieces
	user         added // symbols that are never cut nor merged
	unknown      int32
	byteFallback bool
	bytes        [256]int32
	bytesKnown   int
	dummyPrefix  bool
	trim         bool
	space        string
}

// spMerge is what two neighbours become that spell a piece.
type spMerge struct{ rank, id int32 }

func (s *sentencePiece) encode(ids []int, text string) ([]int, error) {
	text = s.normalized(text)
	var m merger
	for at := 0; at < len(text); {
		if token, n := s.user.longest(text[at:]); token != nil {
			m.add(int32(token.id), n, true)
			at += n
			continue
		}
		_, n := utf8.DecodeRuneInString(text[at:])
		id := s.unknown
		if p, ok := s.pieces[text[at:at+n]]; ok {
			id = p.id
		}
		m.add(id, n, false)
		at += n
	}
	m.merge(func(left, right *symbol) (rank, id int32, ok bool) {
		if right.end-left.start > s.longest {
			return 0, 0, false
		}
		p, ok := s.pieces[text[left.start:right.end]]
		return p.rank, p.id, ok
	})
	unknown := false // whether the last symbol was
	for i := range m.symbols {
		sym := &m.symbols[i]
		if sym.size() == 0 {
			continue
		}
		switch before := unknown; {
		case sym.id != s.unknown:
			unknown = false
			ids = append(ids, int(sym.id))
		case s.byteFallback:
			for _, b := range []byte(text[sym.start:sym.end]) {
				ids = append(ids, int(s.bytes[b]))
			}
		default: // one token for a run of them
			unknown = true
			if !before {
				ids = append(ids, int(s.unknown))
			}
		}
	}
	return ids, nil
}

// normalized does to text what the file says of spaces. Other white space is
// like any character.
func (s *sentencePiece) normalized(text string) string {
	if s.trim {
		text = strings.TrimLeft(text, " ")
	}
	if text == "" {
		return ""
	}
	var b strings.Builder
	b.Grow(len(text) + len(text)/2)
	if s.dummyPrefix {
		b.WriteString(s.space)
	}
	after := false // whether a space has just been written
	for i := range len(text) {
		blank := text[i] == ' '
		switch {
		case !blank:
			b.WriteByte(text[i])
		case !after || !s.trim:
			b.WriteString(s.space)
		}
		after = blank
	}
	text = b.String()
	for s.trim && strings.HasSuffix(text, s.space) {
		text = strings.TrimSuffix(text, s.space)
	}
	return text
}

// setByte notes the id of a byte's piece, which is written <0x4F>.
func (s *sentencePiece) setByte(piece string, id int32) {
	var b byte
	if _, err := fmt.Sscanf(piece, "<0x%02X>", &b); err == nil && piece == fmt.Sprintf("<0x%02X>", b) {
		s.bytes[b] = id
		s.bytesKnown++
	}
}
