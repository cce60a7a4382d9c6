package tokenizer

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// file holds the members of a tokenizer.json. Truncation and padding serve batches, and the
// decoder turns ids into text, so these three are not looked at.
type file struct {
	Version       string         `json:"version"`
	Truncation    jsontext.Value `json:"truncation"`
	Padding       jsontext.Value `json:"padding"`
	AddedTokens   []fileToken    `json:"added_tokens"`
	Normalizer    jsontext.Value `json:"normalizer"`
	PreTokenizer  jsontext.Value `json:"pre_tokenizer"`
	PostProcessor jsontext.Value `json:"post_processor"`
	Decoder       jsontext.Value `json:"decoder"`
	Model         jsontext.Value `json:"model"`
}

type fileToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// parseJSON reads a tokenizer.json.
func parseJSON(data []byte) (*Tokenizer, error) {
	var f file
	if err := decode("tokenizer.json", data, &f); err != nil {
		return nil, err
	}
	if f.Version != "1.0" {
		return nil, unsupported("version", "%q", f.Version)
	}
	p := &pipeline{}
	var err error
	if p.model, err = parseBPE(f.Model); err != nil {
		return nil, err
	}
	if p.normalize, err = parseNormalizer(f.Normalizer); err != nil {
		return nil, err
	}
	if p.steps, err = parsePreTokenizer(f.PreTokenizer); err != nil {
		return nil, err
	}
	t := &Tokenizer{text: p}
	if t.before, t.after, err = parsePostProcessor(f.PostProcessor); err != nil {
		return nil, err
	}
	if err := p.addTokens(f.AddedTokens); err != nil {
		return nil, err
	}
	t.vocab = f.vocab(p.model)
	for _, id := range append(append([]int(nil), t.before...), t.after...) {
		if id >= t.vocab {
			return nil, fmt.Errorf("post_processor: token id %d, and the vocabulary has %d", id, t.vocab)
		}
	}
	return t, nil
}

// vocab returns the largest id plus one.
func (f *file) vocab(model *bpe) int {
	most := int32(none)
	for _, id := range model.vocab {
		most = max(most, id)
	}
	for _, token := range f.AddedTokens {
		most = max(most, token.ID)
	}
	return int(most) + 1
}

// addTokens adds the tokens that are cut out of a text before it is tokenized.
func (p *pipeline) addTokens(tokens []fileToken) error {
	ids := map[string]int32{}
	for i, t := range tokens {
		where := fmt.Sprintf("added_tokens[%d]", i)
		id, twice := ids[t.Content]
		if !twice {
			id, twice = p.model.vocab[t.Content]
		}
		switch {
		case t.ID < 0 || t.ID == math.MaxInt32:
			return fmt.Errorf("%s: token id %d", where, t.ID)
		case twice && id != t.ID:
			return fmt.Errorf("%s: %q has id %d, and %d elsewhere", where, t.Content, t.ID, id)
		case t.SingleWord:
			return unsupported(where, "single_word, of %q,", t.Content)
		case t.Content == "":
			continue // an empty token matches nowhere
		case len(t.Content) > longestAdded:
			return unsupported(where, "a token of %d bytes", len(t.Content))
		}
		ids[t.Content] = t.ID
		token := addedToken{int(t.ID), t.LStrip, t.RStrip}
		if !t.Normalized {
			p.raw.add(t.Content, token)
			continue
		}
		content := t.Content
		for _, normalize := range p.normalize {
			content = normalize(content)
		}
		p.normalized.add(content, token)
	}
	return nil
}

// decode reads a JSON value into to. It returns an error for a member that to does not
// have, because it might change ids. The argument where names the value in errors.
func decode(where string, value jsontext.Value, to any) error {
	return explain(where, json.Unmarshal(value, to, json.RejectUnknownMembers(true)))
}

// kind returns the type of a component, and an empty text if there is no component.
func kind(where string, value jsontext.Value) (string, error) {
	if absent(value) {
		return "", nil
	}
	var c struct {
		Type *string `json:"type"`
	}
	if err := explain(where, json.Unmarshal(value, &c)); err != nil {
		return "", err
	}
	if c.Type == nil {
		return "", unsupported(where, "a component without a type")
	}
	return *c.Type, nil
}

// absent reports whether a value is missing or null.
func absent(value jsontext.Value) bool { return len(value) == 0 || value.Kind() == 'n' }

// explain turns the errors of the JSON package into words that a user understands.
func explain(where string, err error) error {
	var semantic *json.SemanticError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &semantic):
		pointer := strings.ReplaceAll(string(semantic.JSONPointer), "/", ".")
		switch {
		case errors.Is(err, json.ErrUnknownName):
			return unsupported(where, "the setting %q", strings.TrimPrefix(pointer, "."))
		case semantic.JSONKind == 0 && semantic.Err != nil:
			return fmt.Errorf("%s%s: %w", where, pointer, semantic.Err)
		}
		return fmt.Errorf("%s%s: %s does not belong here", where, pointer, kinds[semantic.JSONKind])
	default:
		return fmt.Errorf("%s: invalid JSON: %w", where, err)
	}
}

// kinds names the kinds of JSON values.
var kinds = map[jsontext.Kind]string{
	'n': "null", 'f': "false", 't': "true", '"': "this string", '0': "this number", '{': "an object", '[': "an array",
}
