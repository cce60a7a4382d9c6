package tokenizer

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// These are the types of SentencePiece's pieces, by their numbers in files.
const (
	normalPiece = iota + 1
	unknownPiece
	controlPiece
	userPiece
	unusedPiece
	bytePiece
)

// spPiece is an entry of the vocabulary.
type spPiece struct {
	text  string
	score float32
	kind  uint64
}

// spModel holds those members of a tokenizer.model that change ids. Members that a file
// leaves out have their defaults.
type spModel struct {
	pieces       []spPiece
	modelType    uint64
	byteFallback bool
	suffix       bool // a ▁ ends words instead of beginning them
	bos          int32
	normalizer   string
	charsmap     bool // characters are replaced
	dummyPrefix  bool // a text gets a space in front
	trim         bool // of all spaces, only one between words is kept
	escape       bool // a space becomes ▁
}

// Piece is an entry of a SentencePiece vocabulary. The numbers of kinds are those of its files:
// normal, unknown, control, user-defined, unused and byte, from 1 on.
type Piece struct {
	Text  string
	Score float32
	Kind  int
}

// Pieces returns the vocabulary of a tokenizer.model, and whether a text gets a space in front.
// It returns an error if the file cannot be read as one of type BPE.
func Pieces(data []byte) (all []Piece, space bool, err error) {
	m, err := parsePieces(data)
	if err != nil {
		return nil, false, err
	}
	for _, p := range m.pieces {
		all = append(all, Piece{p.text, p.score, int(p.kind)})
	}
	return all, m.dummyPrefix, nil
}

// parseModel reads a tokenizer.model.
func parseModel(data []byte) (*Tokenizer, error) {
	m, err := parsePieces(data)
	if err != nil {
		return nil, err
	}
	s, err := m.encoder()
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{text: s, vocab: len(m.pieces)}
	// The file says which token can begin a text, but not whether it does. A Llama begins
	// every text with it.
	if m.bos >= 0 && int(m.bos) < len(m.pieces) && m.pieces[m.bos].kind == controlPiece {
		t.before = []int{int(m.bos)}
	}
	return t, nil
}

// parsePieces reads the members of a tokenizer.model. It returns an error for what is not
// implemented here.
func parsePieces(data []byte) (*spModel, error) {
	m := &spModel{modelType: 1, bos: 1, dummyPrefix: true, trim: true, escape: true}
	err := fields(data, func(f protoField) error {
		switch f.number {
		case 1:
			return m.piece(f)
		case 2:
			return m.trainer(f)
		case 3:
			return m.normalization(f)
		}
		return nil // the other fields hold a self-test, and how ids are turned into text
	})
	if err != nil {
		return nil, err
	}
	types := []string{1: "unigram", 3: "word", 4: "char"}
	switch {
	case len(m.pieces) == 0:
		return nil, errors.New("no SentencePiece vocabulary")
	case m.modelType < uint64(len(types)) && types[m.modelType] != "":
		return nil, unsupported("trainer_spec", "model type %q", types[m.modelType])
	case m.modelType != 2:
		return nil, unsupported("trainer_spec", "model type %d", m.modelType)
	case m.suffix:
		return nil, unsupported("trainer_spec", "treat_whitespace_as_suffix")
	case m.charsmap:
		return nil, unsupported("normalizer_spec", "the normalization %q", m.normalizer)
	}
	return m, nil
}

func (m *spModel) piece(f protoField) error {
	p := spPiece{kind: normalPiece}
	err := message(f, map[int]int{1: bytesOf, 2: fixed32, 3: varint}, func(f protoField) {
		switch f.number {
		case 1:
			p.text = string(f.bytes)
		case 2:
			p.score = math.Float32frombits(uint32(f.value))
		case 3:
			p.kind = f.value
		}
	})
	where := fmt.Sprintf("piece %d", len(m.pieces))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", where, err)
	case p.text == "" || !utf8.ValidString(p.text):
		return fmt.Errorf("%s: %q is empty or not UTF-8", where, p.text)
	case p.score != p.score:
		return fmt.Errorf("%s: the score of %q is not a number", where, p.text)
	case p.kind < normalPiece || p.kind > bytePiece:
		return fmt.Errorf("%s: type %d", where, p.kind)
	case p.kind == unusedPiece:
		return unsupported(where, "an unused piece")
	}
	m.pieces = append(m.pieces, p)
	return nil
}

func (m *spModel) trainer(f protoField) error {
	return message(f, map[int]int{3: varint, 24: varint, 35: varint, 41: varint}, func(f protoField) {
		switch f.number {
		case 3:
			m.modelType = f.value
		case 24:
			m.suffix = f.value != 0
		case 35:
			m.byteFallback = f.value != 0
		case 41:
			m.bos = int32(f.value)
		}
	})
}

func (m *spModel) normalization(f protoField) error {
	types := map[int]int{1: bytesOf, 2: bytesOf, 3: varint, 4: varint, 5: varint}
	return message(f, types, func(f protoField) {
		switch f.number {
		case 1:
			m.normalizer = string(f.bytes)
		case 2:
			m.charsmap = len(f.bytes) > 0
		case 3:
			m.dummyPrefix = f.value != 0
		case 4:
			m.trim = f.value != 0
		case 5:
			m.escape = f.value != 0
		}
	})
}

// message calls each for those fields of the message in f whose numbers are in wires. It
// returns an error if such a field has another wire type.
func message(f protoField, wires map[int]int, each func(protoField)) error {
	if err := f.is(bytesOf); err != nil {
		return err
	}
	return fields(f.bytes, func(f protoField) error {
		wire, ok := wires[f.number]
		if !ok {
			return nil
		}
		if err := f.is(wire); err != nil {
			return err
		}
		each(f)
		return nil
	})
}
