package export

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/llamacpp"
)

// tokenizerFile holds those members of a tokenizer.json that a GGUF file has in another form.
// The package tokenizer has made sure that the file is sound.
type tokenizerFile struct {
	AddedTokens []struct {
		ID      int    `json:"id"`
		Content string `json:"content"`
		Special bool   `json:"special"`
	} `json:"added_tokens"`
	Normalizer    *component `json:"normalizer"`
	PreTokenizer  *component `json:"pre_tokenizer"`
	PostProcessor *component `json:"post_processor"`
	Model         struct {
		Vocab        map[string]int `json:"vocab"`
		Merges       []merge        `json:"merges"`
		IgnoreMerges bool           `json:"ignore_merges"`
	} `json:"model"`
}

// component is a step of a tokenizer, or several of them.
type component struct {
	Type          string       `json:"type"`
	Normalizers   []*component `json:"normalizers"`
	PreTokenizers []*component `json:"pretokenizers"`
	Processors    []*component `json:"processors"`

	Digits  bool                   `json:"individual_digits"`
	Regex   *bool                  `json:"use_regex"`
	Prefix  *bool                  `json:"add_prefix_space"`
	Pattern struct{ Regex string } `json:"pattern"`
	Single  []struct {
		SpecialToken struct {
			ID string `json:"id"`
		}
	} `json:"single"`
}

// steps lists what a component consists of.
func (c *component) steps() (all []*component) {
	if c == nil {
		return nil
	}
	if c.Type != "Sequence" {
		return []*component{c}
	}
	for _, list := range [][]*component{c.Normalizers, c.PreTokenizers, c.Processors} {
		for _, part := range list {
			all = append(all, part.steps()...)
		}
	}
	return all
}

// merge is a merge of two tokens, "a b" or ["a","b"] in a file. In a GGUF file it is the former,
// with the spaces of tokens written as those of a byte-level BPE.
type merge string

// UnmarshalJSON reads a merge in either form.
func (m *merge) UnmarshalJSON(text []byte) error {
	var pair []string
	if json.Unmarshal(text, &pair) != nil {
		return json.Unmarshal(text, (*string)(m))
	}
	for i, part := range pair {
		pair[i] = strings.ReplaceAll(part, " ", "Ġ")
	}
	*m = merge(strings.Join(pair, " "))
	return nil
}

// isByteLevel reports whether a tokenizer.json cuts texts into words of bytes.
func isByteLevel(text []byte) bool {
	var f tokenizerFile
	if json.Unmarshal(text, &f) != nil {
		return false
	}
	steps := f.PreTokenizer.steps()
	return len(steps) > 0 && steps[len(steps)-1].Type == "ByteLevel"
}

// bytePairs reads a tokenizer.json whose BPE is of bytes (conversion/base.py, get_vocab_base and
// _set_vocab_gpt2). The way of cutting is found by what the file says of it, so that a
// vocabulary that others have added tokens to is known, too.
func (v *vocabulary) bytePairs(text []byte) error {
	var f tokenizerFile
	if err := json.Unmarshal(text, &f); err != nil {
		return err
	}
	cut, ok := f.cutting()
	pre, known := llamacpp.Pre(cut)
	if !ok || !known {
		return &UnsupportedError{"llama.cpp has no name that is known here for how its tokenizer.json cuts up a text"}
	}
	v.model, v.pre = "gpt2", pre
	v.fill()
	for token, id := range f.Model.Vocab {
		if err := v.put(id, token, llamacpp.Normal); err != nil {
			return err
		}
	}
	for _, t := range f.AddedTokens {
		if err := v.added(t.ID, t.Content, t.Special); err != nil {
			return err
		}
	}
	v.merges = make([]string, len(f.Model.Merges))
	for i, m := range f.Model.Merges {
		v.merges[i] = string(m)
	}
	return v.surroundings(f.PostProcessor.steps())
}

// cutting returns how the file cuts a text into words, and false if that takes other steps.
func (f *tokenizerFile) cutting() (c llamacpp.Cutting, ok bool) {
	c.Whole = f.Model.IgnoreMerges
	for _, step := range f.Normalizer.steps() {
		if step.Type != "NFC" {
			return c, false
		}
		c.NFC = true
	}
	steps := f.PreTokenizer.steps()
	last := steps[len(steps)-1]
	if last.Prefix == nil || *last.Prefix { // a space before the text, as Hugging Face has it by itself
		return c, false
	}
	steps = steps[:len(steps)-1]
	if len(steps) > 0 && steps[0].Type == "Digits" && steps[0].Digits {
		c.Digits, steps = true, steps[1:]
	}
	if len(steps) == 1 && steps[0].Type == "Split" {
		c.Pattern, steps = steps[0].Pattern.Regex, steps[1:]
	}
	again := last.Regex == nil || *last.Regex // words are cut once more, by the expression of GPT-2
	return c, len(steps) == 0 && again == (c.Pattern == "")
}

// surroundings reads which tokens are added to every text.
func (v *vocabulary) surroundings(steps []*component) error {
	for _, step := range steps {
		switch {
		case step.Type == "ByteLevel" && v.adds == nil:
			v.adds = []flag{{"bos", false}, {"eos", false}}
		case step.Type == "TemplateProcessing" && len(step.Single) > 1:
			first, last := step.Single[0].SpecialToken.ID, step.Single[len(step.Single)-1].SpecialToken.ID
			for _, end := range []struct{ role, token string }{{"bos", first}, {"eos", last}} {
				if end.token == "" {
					continue
				}
				if named := v.tokenOf(end.role); named != end.token {
					return &UnsupportedError{fmt.Sprintf("its tokenizer puts %q around every text, and its %s_token is %q", end.token, end.role, named)}
				}
				v.adds = append(slices.DeleteFunc(v.adds, func(f flag) bool { return f.role == end.role }), flag{end.role, true})
			}
		}
	}
	return nil
}
