package tokenizer

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// These limits keep a hostile file from taking much time. No file in use comes near them.
const (
	maxComponents = 16 // most components in a sequence
	maxNesting    = 4  // most sequences that lie in each other
)

// component is a part of a tokenizer.json that has a type.
type component struct {
	where string
	kind  string
	value jsontext.Value
}

// flatten returns the components of a value, which may be null, a component, or
// a Sequence of such values in the member list.
func flatten(where, list string, value jsontext.Value) ([]component, error) {
	return flattenInto(nil, where, list, value, 0)
}

func flattenInto(all []component, where, list string, value jsontext.Value, depth int) ([]component, error) {
	k, err := kind(where, value)
	switch {
	case err != nil || absent(value):
		return all, err
	case k != "Sequence":
		if len(all) == maxComponents {
			return nil, unsupported(where, "a sequence of more than %d", maxComponents)
		}
		return append(all, component{where, k, value}), nil
	case depth == maxNesting:
		return nil, unsupported(where, "a sequence in %d sequences", depth)
	}
	var members map[string]jsontext.Value
	if err := decode(where, value, &members); err != nil {
		return nil, err
	}
	var parts []jsontext.Value
	for name, value := range members {
		switch name {
		case "type":
		case list:
			if err := decode(where+"."+list, value, &parts); err != nil {
				return nil, err
			}
		default:
			return nil, unsupported(where, "the setting %q", name)
		}
	}
	for i, part := range parts {
		if all, err = flattenInto(all, fmt.Sprintf("%s.%s[%d]", where, list, i), list, part, depth+1); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// parseNormalizer reads the steps that normalize a text before it is cut. It knows those
// replacements alone that imitate SentencePiece.
func parseNormalizer(value jsontext.Value) ([]func(string) string, error) {
	parts, err := flatten("normalizer", "normalizers", value)
	if err != nil {
		return nil, err
	}
	var all []func(string) string
	for _, part := range parts {
		var f struct {
			Type    string `json:"type"`
			Prepend string `json:"prepend"`
			Content string `json:"content"`
			Pattern struct {
				String *string `json:"String"`
				Regex  *string `json:"Regex"`
			} `json:"pattern"`
		}
		if err := decode(part.where, part.value, &f); err != nil {
			return nil, err
		}
		pattern := f.Pattern.String
		switch {
		case part.kind == "NFC":
			all = append(all, nfc)
		case part.kind == "Prepend" && f.Prepend == space:
			all = append(all, prepend)
		case part.kind == "Prepend":
			return nil, unsupported(part.where, "prepending %q", f.Prepend)
		case part.kind == "Replace" && pattern != nil && *pattern == " " && f.Content == space:
			all = append(all, func(text string) string { return strings.ReplaceAll(text, " ", space) })
		case part.kind == "Replace" && pattern != nil:
			return nil, unsupported(part.where, "replacing %q by %q", *pattern, f.Content)
		case part.kind == "Replace" && f.Pattern.Regex != nil:
			return nil, unsupported(part.where, "replacing the regular expression %q", *f.Pattern.Regex)
		default:
			return nil, unsupported(part.where, "type %q", part.kind)
		}
	}
	return all, nil
}

// prepend puts a ▁ before a text, unless that is empty.
func prepend(text string) string {
	if text == "" {
		return ""
	}
	return space + text
}

// parsePreTokenizer reads the steps that cut a text into words.
func parsePreTokenizer(value jsontext.Value) ([]step, error) {
	parts, err := flatten("pre_tokenizer", "pretokenizers", value)
	if err != nil {
		return nil, err
	}
	var steps []step
	for i, part := range parts {
		var next step
		last := false // the step rewrites the words, and no other step can follow it
		switch part.kind {
		case "ByteLevel":
			next, err = parseByteLevel(part)
			last = true
		case "Metaspace":
			next, err = parseMetaspace(part)
			last = true
		case "Split":
			next, err = parseSplit(part)
		case "Digits":
			f := struct {
				Type       string `json:"type"`
				Individual bool   `json:"individual_digits"`
			}{}
			err = decode(part.where, part.value, &f)
			next = splitBy(digits(f.Individual))
		default:
			err = unsupported(part.where, "type %q", part.kind)
		}
		if err == nil && last && i < len(parts)-1 {
			err = unsupported(part.where, "%s before %s", part.kind, parts[i+1].kind)
		}
		if err != nil {
			return nil, err
		}
		steps = append(steps, next)
	}
	return steps, nil
}
