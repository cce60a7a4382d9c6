package tokenizer

import (
	"fmt"
	"math"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// fileBPE holds the members of the model in a tokenizer.json.
type fileBPE struct {
	Type         string           `json:"type"`
	Dropout      *float64         `json:"dropout"`
	Unknown      *string          `json:"unk_token"`
	Prefix       *string          `json:"continuing_subword_prefix"`
	Suffix       *string          `json:"end_of_word_suffix"`
	Fuse         bool             `json:"fuse_unk"`
	ByteFallback bool             `json:"byte_fallback"`
	IgnoreMerges bool             `json:"ignore_merges"`
	Vocab        map[string]int32 `json:"vocab"`
	Merges       []fileMerge      `json:"merges"`
}

// fileMerge is a merge of two tokens, which files write as "a b" or as ["a","b"].
type fileMerge struct{ left, right string }

// UnmarshalJSONFrom reads a merge in either form.
func (m *fileMerge) UnmarshalJSONFrom(in *jsontext.Decoder) error {
	if in.PeekKind() == '[' {
		var parts []string
		if err := json.UnmarshalDecode(in, &parts); err != nil {
			return err
		}
		if len(parts) != 2 {
			return fmt.Errorf("a merge of %d parts", len(parts))
		}
		m.left, m.right = parts[0], parts[1]
		return nil
	}
	var text string
	if err := json.UnmarshalDecode(in, &text); err != nil {
		return err
	}
	if strings.HasPrefix(text, "#version") {
		return nil // some files keep the first line of a merges.txt
	}
	left, right, ok := strings.Cut(text, " ")
	if !ok || strings.Contains(right, " ") {
		return fmt.Errorf("the merge %q is not two parts with a space between", text)
	}
	m.left, m.right = left, right
	return nil
}

// parseBPE makes a model from the member model of a tokenizer.json.
func parseBPE(value jsontext.Value) (*bpe, error) {
	if err := checkModelType(value); err != nil {
		return nil, err
	}
	var f fileBPE
	if err := decode("model", value, &f); err != nil {
		return nil, err
	}
	switch {
	case f.Dropout != nil && *f.Dropout != 0:
		return nil, unsupported("model", "dropout %g", *f.Dropout)
	case f.Prefix != nil && *f.Prefix != "":
		return nil, unsupported("model", "continuing_subword_prefix %q", *f.Prefix)
	case f.Suffix != nil && *f.Suffix != "":
		return nil, unsupported("model", "end_of_word_suffix %q", *f.Suffix)
	case len(f.Vocab) == 0:
		return nil, fmt.Errorf("model: no vocabulary")
	}
	b := &bpe{vocab: f.Vocab, fuse: f.Fuse, byteFallback: f.ByteFallback, ignoreMerges: f.IgnoreMerges}
	if f.Unknown != nil {
		b.unknown = *f.Unknown
	}
	owners := make(map[int32]string, len(f.Vocab))
	for token, id := range f.Vocab {
		other, taken := owners[id]
		if taken {
			return nil, fmt.Errorf("model: %q and %q have one id, %d", min(token, other), max(token, other), id)
		}
		if id < 0 || id == math.MaxInt32 {
			return nil, fmt.Errorf("model: %q has id %d", token, id)
		}
		owners[id] = token
	}
	for c := range b.bytes {
		b.bytes[c] = none
		if id, ok := f.Vocab[fmt.Sprintf("<0x%02X>", c)]; ok {
			b.bytes[c] = id
		}
	}
	return b, b.setMerges(f.Merges)
}

// checkModelType returns an error unless the model is BPE. Old files do not write the type
// down, and a model with merges is BPE.
func checkModelType(value jsontext.Value) error {
	var c struct {
		Type   *string        `json:"type"`
		Merges jsontext.Value `json:"merges"`
	}
	if absent(value) {
		return fmt.Errorf("no model")
	}
	if err := explain("model", json.Unmarshal(value, &c)); err != nil {
		return err
	}
	switch {
	case c.Type == nil && absent(c.Merges):
		return unsupported("model", "a model without a type")
	case c.Type != nil && *c.Type != "BPE":
		return unsupported("model", "type %q", *c.Type)
	}
	return nil
}

// setMerges ranks the merges by their order. If a merge is listed several times, the last
// place counts, as in the reference implementation.
func (b *bpe) setMerges(merges []fileMerge) error {
	b.merges = make(map[pair]merge, len(merges))
	for i, m := range merges {
		if m == (fileMerge{}) {
			continue
		}
		var ids [3]int32
		for j, token := range [...]string{m.left, m.right, m.left + m.right} {
			id, ok := b.vocab[token]
			if !ok {
				return fmt.Errorf("model.merges[%d]: %q is not in the vocabulary", i, token)
			}
			ids[j] = id
		}
		b.merges[pair{ids[0], ids[1]}] = merge{int32(i), ids[2]}
	}
	return nil
}
