package export

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/mha2mla/mha2mla/internal/llamacpp"
	"github.com/mha2mla/mha2mla/internal/tokenizer"
)

// Scores of tokens that a vocabulary of SentencePiece has not (conversion/base.py,
// _create_vocab_sentencepiece).
const (
	scoreAdded  = -1000
	scoreUnused = -10000
)

// pieces reads a tokenizer.model, and the tokens that were added to it. llama.cpp gives it the
// numbers that SentencePiece has for the kinds of its pieces.
func (v *vocabulary) pieces(text []byte) error {
	all, space, err := tokenizer.Pieces(text)
	if err != nil {
		return explained(err)
	}
	v.model, v.pre = "llama", "default"
	v.fill()
	v.scores = slices.Repeat([]float32{scoreUnused}, v.size)
	for id, p := range all {
		if err := v.put(id, p.Text, int32(p.Kind)); err != nil {
			return err
		}
		v.scores[id] = p.Score
	}
	if wish, there := v.wishes["add_prefix_space"]; there {
		json.Unmarshal(wish, &v.space) //nolint:errcheck // null or anything else says nothing
	}
	if !space {
		v.space = new(false)
	}
	return v.addedPieces()
}

// addedPieces sets the tokens that were added to the vocabulary, by id.
func (v *vocabulary) addedPieces() error {
	var ids map[string]int
	if err := v.files.decode("added_tokens.json", &ids); err != nil {
		return err
	}
	var described map[string]struct {
		Content string
		Special bool
	}
	if wish, there := v.wishes["added_tokens_decoder"]; there {
		if err := json.Unmarshal(wish, &described); err != nil {
			return &UnsupportedError{fmt.Sprintf("added_tokens_decoder of tokenizer_config.json: %v", err)}
		}
	}
	for _, token := range slices.Sorted(maps.Keys(ids)) {
		if err := v.put(ids[token], token, llamacpp.UserDefined); err != nil {
			return err
		}
		v.scores[ids[token]] = scoreAdded
	}
	for _, key := range slices.Sorted(maps.Keys(described)) {
		id, err := strconv.Atoi(key)
		if err != nil {
			return &UnsupportedError{fmt.Sprintf("added_tokens_decoder of tokenizer_config.json has %q for an id", key)}
		}
		if err := v.added(id, described[key].Content, described[key].Special); err != nil {
			return err
		}
		v.scores[id] = scoreAdded
	}
	return nil
}
