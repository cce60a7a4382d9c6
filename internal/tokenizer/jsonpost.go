package tokenizer

import (
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// fileTemplate holds the members of a post-processor that surrounds a text with tokens.
type fileTemplate struct {
	Type    string         `json:"type"`
	Single  []filePiece    `json:"single"`
	Pair    jsontext.Value `json:"pair"`
	Special map[string]struct {
		ID     string   `json:"id"`
		IDs    []int32  `json:"ids"`
		Tokens []string `json:"tokens"`
	} `json:"special_tokens"`
}

// filePiece is a part of a template: a special token, or the text itself.
type filePiece struct {
	SpecialToken *filePlace `json:"SpecialToken"`
	Sequence     *filePlace `json:"Sequence"`
}

type filePlace struct {
	ID   string `json:"id"`
	Type int    `json:"type_id"`
}

// parsePostProcessor returns the ids that precede and follow every text.
func parsePostProcessor(value jsontext.Value) (before, after []int, err error) {
	parts, err := flatten("post_processor", "processors", value)
	if err != nil {
		return nil, nil, err
	}
	seen := false
	for _, part := range parts {
		switch part.kind {
		case "ByteLevel": // it changes offsets, and no ids
		case "TemplateProcessing":
			if seen {
				return nil, nil, unsupported(part.where, "a second TemplateProcessing")
			}
			seen = true
			if before, after, err = parseTemplate(part); err != nil {
				return nil, nil, err
			}
		default:
			return nil, nil, unsupported(part.where, "type %q", part.kind)
		}
	}
	return before, after, nil
}

func parseTemplate(c component) (before, after []int, err error) {
	var f fileTemplate
	if err := decode(c.where, c.value, &f); err != nil {
		return nil, nil, err
	}
	texts := 0
	for i, piece := range f.Single {
		where := fmt.Sprintf("%s.single[%d]", c.where, i)
		switch {
		case (piece.SpecialToken == nil) == (piece.Sequence == nil):
			return nil, nil, fmt.Errorf("%s: neither a special token nor a sequence", where)
		case piece.Sequence != nil && piece.Sequence.ID != "A":
			return nil, nil, fmt.Errorf("%s: the sequence %q", where, piece.Sequence.ID)
		case piece.Sequence != nil:
			texts++
			continue
		}
		special, ok := f.Special[piece.SpecialToken.ID]
		if !ok {
			return nil, nil, fmt.Errorf("%s: no special token %q", where, piece.SpecialToken.ID)
		}
		for _, id := range special.IDs {
			switch {
			case id < 0:
				return nil, nil, fmt.Errorf("%s: token id %d", where, id)
			case texts == 0:
				before = append(before, int(id))
			default:
				after = append(after, int(id))
			}
		}
	}
	if texts != 1 {
		return nil, nil, unsupported(c.where, "a template with the text %d times", texts)
	}
	return before, after, nil
}
