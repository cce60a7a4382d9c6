package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/option"
)

// OfTokenizer lists the files of a tokenizer that engines read.
func OfTokenizer() []string {
	return []string{"tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt"}
}

// brokenTokenizer complains of the first file of the tokenizer that is not what its name says.
func brokenTokenizer(s *subject, _ Engine) (string, option.Text) {
	for _, name := range OfTokenizer() {
		if wrong := s.Amiss[name]; wrong != "" {
			return fmt.Sprintf("%q is %s", name, wrong), option.Plain("fetch the file again from where the model came from")
		}
	}
	return "", nothing
}

// lostCode complains of code that a tokenizer needs and that is not beside it.
func lostCode(s *subject, _ Engine) (string, option.Text) {
	var lost []string
	for _, name := range s.Code {
		if !slices.Contains(s.Files, name) {
			lost = append(lost, name)
		}
	}
	if len(lost) == 0 {
		return "", nothing
	}
	return fmt.Sprintf("its tokenizer may need code that is not here, %s", strings.Join(lost, ", ")), option.Plain("take the tokenizer from the source model")
}

// oldTokenizer complains of a tokenizer that is there as a model of SentencePiece alone, for
// which some versions do without what makes the other form of it (transformers 5.4 to 5.11).
func oldTokenizer(s *subject, _ Engine) (string, option.Text) {
	if !slices.Contains(s.Files, "tokenizer.model") || slices.Contains(s.Files, "tokenizer.json") {
		return "", nothing
	}
	return "Transformers 5.4 to 5.11 want tokenizer.json, and there is tokenizer.model alone", option.Plain("load the tokenizer with another version and save it")
}

// Amiss says what a file is whose content does not fit its name; it is empty if the content
// may fit.
func Amiss(name string, text []byte) string {
	start := bytes.TrimSpace(text[:min(len(text), 64)])
	prose := slices.Contains([]string{"", ".txt", ".md"}, filepath.Ext(name))
	switch {
	case len(text) == 0 && !strings.HasPrefix(name, "added_tokens"):
		return "empty"
	case bytes.HasPrefix(text, []byte("version https://git-lfs")):
		return "a Git LFS pointer (git lfs pull fetches the file)"
	case !prose && (hasPrefixFold(start, "<!doctype") || hasPrefixFold(start, "<html")):
		return "an HTML page"
	case filepath.Ext(name) == ".json" && !family.ValidJSON(text):
		return "not valid JSON"
	}
	return ""
}

func hasPrefixFold(text []byte, start string) bool {
	return len(text) >= len(start) && strings.EqualFold(string(text[:len(start)]), start)
}

// CodeOf returns the files of code that a configuration, such as that of a tokenizer, names,
// in the order of their names.
func CodeOf(text []byte) []string {
	var config struct {
		AutoMap json.RawMessage `json:"auto_map"`
	}
	if !bytes.Contains(text, []byte(`"auto_map"`)) || json.Unmarshal(text, &config) != nil || len(config.AutoMap) == 0 {
		return nil
	}
	var modules []string
	collect := func(class string) {
		class = class[strings.LastIndex(class, "--")+1:]
		module, _, found := strings.Cut(strings.TrimPrefix(class, "-"), ".")
		if found && !slices.Contains(modules, module+".py") {
			modules = append(modules, module+".py")
		}
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			collect(v)
		case []any:
			for _, each := range v {
				walk(each)
			}
		case map[string]any:
			for _, each := range v {
				walk(each)
			}
		}
	}
	var named any
	if json.Unmarshal(config.AutoMap, &named) == nil {
		walk(named)
	}
	slices.Sort(modules)
	return modules
}
