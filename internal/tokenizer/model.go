package tokenizer

import (
	"fmt"
	"unicode/utf8"
)

// bpe is the BPE model of a tokenizer.json.
type bpe struct {
	vocab        map[string]int32
	merges       map[pair]merge
	unknown      string     // the token for characters that the vocabulary lacks; empty if there is none
	fuse         bool       // a run of unknown characters becomes one unknown token
	byteFallback bool       // an unknown character becomes tokens of its bytes
	bytes        [256]int32 // ids of the tokens of bytes, or none
	ignoreMerges bool       // a word in the vocabulary is a token, whatever its merges
}

// pair holds the ids of two neighbours.
type pair struct{ left, right int32 }

// merge says which token two neighbours become, and how early: the merge of rank 0 comes
// first.
type merge struct{ rank, id int32 }

// none takes the place of an id where there is no token.
const none = -1

// word appends the ids of a word.
func (b *bpe) word(ids []int, word string, m *merger) ([]int, error) {
	if b.ignoreMerges {
		if id, ok := b.vocab[word]; ok {
			return append(ids, int(id)), nil
		}
	}
	if err := b.split(word, m); err != nil {
		return nil, err
	}
	m.merge(func(left, right *symbol) (rank, id int32, ok bool) {
		to, ok := b.merges[pair{left.id, right.id}]
		return to.rank, to.id, ok
	})
	for i := range m.symbols {
		s := &m.symbols[i]
		if s.size() > 0 {
			ids = append(ids, int(s.id))
		}
	}
	return ids, nil
}

// split cuts a word into characters, or into bytes where it falls back to them. It does with
// unknown characters what the reference implementation does: one waits for the next known
// character, even if bytes come before that, and vanishes if no token stands for unknown
// characters.
func (b *bpe) split(word string, m *merger) error {
	m.symbols = m.symbols[:0]
	waiting := 0 // number of bytes of unknown characters that wait
	flush := func() {
		if waiting > 0 {
			m.add(b.vocab[b.unknown], waiting, false)
			waiting = 0
		}
	}
	for at := 0; at < len(word); {
		_, size := utf8.DecodeRuneInString(word[at:])
		char := word[at : at+size]
		at += size
		if id, ok := b.vocab[char]; ok {
			flush()
			m.add(id, size, false)
			continue
		}
		if b.byteFallback && b.hasBytes(char) {
			for _, c := range []byte(char) {
				m.add(b.bytes[c], 1, false)
			}
			continue
		}
		if b.unknown == "" {
			continue
		}
		if _, ok := b.vocab[b.unknown]; !ok {
			return fmt.Errorf("%q is not in the vocabulary, nor is the unknown token %q", char, b.unknown)
		}
		if !b.fuse {
			flush()
		}
		waiting += size
	}
	flush()
	return nil
}

func (b *bpe) hasBytes(char string) bool {
	for _, c := range []byte(char) {
		if b.bytes[c] == none {
			return false
		}
	}
	return true
}
