package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// sentencePiece encodes like SentencePiece's BPE. The whole text is one word. Two neighbours
// merge if a piece spells both, the piece with the best score first.
type sentencePiece struct {
	pieces       map[string]merge // the merge that makes a piece, by the piece's text
	longest      int32            // length in bytes of the longest piece
	user         added            // symbols that are never cut nor merged
	unknown      int32            // id of the unknown piece
	byteFallback bool             // unknown characters become pieces of their bytes
	bytes        [256]int32       // ids of the pieces of bytes
	bytesKnown   int              // how many of them the file has
	dummyPrefix  bool             // a text gets a space in front
	trim         bool             // of all spaces, only one between words is kept
	space        string           // what a space is written as
}

// encoder makes an encoder from the model. It ranks merges by the scores of the pieces.
func (m *spModel) encoder() (*sentencePiece, error) {
	s := &sentencePiece{
		pieces: map[string]merge{}, unknown: none, byteFallback: m.byteFallback,
		dummyPrefix: m.dummyPrefix, trim: m.trim, space: " ",
	}
	if m.escape {
		s.space = space
	}
	var scores []float32
	for _, p := range m.pieces {
		scores = append(scores, p.score)
	}
	slices.Sort(scores)
	scores = slices.Compact(scores)
	seen := map[string]bool{}
	for id, p := range m.pieces {
		if seen[p.text] {
			return nil, fmt.Errorf("the piece %q is there twice", p.text)
		}
		seen[p.text] = true
		switch p.kind {
		case unknownPiece:
			if s.unknown != none {
				return nil, errors.New("two unknown pieces")
			}
			s.unknown = int32(id)
		case userPiece:
			if strings.Contains(p.text, " ") || m.trim && strings.Contains(p.text, space) {
				return nil, unsupported(fmt.Sprintf("piece %d", id), "the user-defined symbol %q", p.text)
			}
			s.user.add(p.text, addedToken{id: id})
			fallthrough
		case normalPiece:
			at, _ := slices.BinarySearch(scores, p.score)
			s.pieces[p.text] = merge{int32(len(scores) - 1 - at), int32(id)}
			s.longest = max(s.longest, int32(len(p.text)))
		case bytePiece:
			if !m.byteFallback {
				return nil, fmt.Errorf("the byte piece %q, without byte fallback", p.text)
			}
			s.setByte(p.text, int32(id))
		}
	}
	switch {
	case s.unknown == none:
		return nil, errors.New("no unknown piece")
	case s.byteFallback && s.bytesKnown != len(s.bytes):
		return nil, fmt.Errorf("byte fallback with %d bytes", s.bytesKnown)
	}
	return s, nil
}

func (s *sentencePiece) encode(ids []int, text string) ([]int, error) {
	text = s.normalized(text)
	var m merger
	for at := 0; at < len(text); {
		token, n := s.user.longest(text[at:])
		if token != nil {
			m.add(int32(token.id), n, true)
			at += n
			continue
		}
		_, n = utf8.DecodeRuneInString(text[at:])
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
	unknown := false // the last symbol was unknown
	for i := range m.symbols {
		sym := &m.symbols[i]
		if sym.size() == 0 {
			continue
		}
		before := unknown
		switch {
		case sym.id != s.unknown:
			unknown = false
			ids = append(ids, int(sym.id))
		case s.byteFallback:
			for _, b := range []byte(text[sym.start:sym.end]) {
				ids = append(ids, int(s.bytes[b]))
			}
		default: // a run of unknown symbols becomes one token
			unknown = true
			if !before {
				ids = append(ids, int(s.unknown))
			}
		}
	}
	return ids, nil
}

// normalized writes the spaces of text as the file asks. It treats other white space like
// any character.
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
	after := false // the last character was a space
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

// setByte notes the id of a piece that stands for a byte, which is written like <0x4F>.
func (s *sentencePiece) setByte(piece string, id int32) {
	var b byte
	if _, err := fmt.Sscanf(piece, "<0x%02X>", &b); err == nil && piece == fmt.Sprintf("<0x%02X>", b) {
		s.bytes[b] = id
		s.bytesKnown++
	}
}
