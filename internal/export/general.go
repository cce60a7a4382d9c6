package export

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/gguf"
)

// General returns what a GGUF file says of a model besides how it is built: how to draw from it,
// its name, how many parameters it has, its licence and what it was made of. It is what
// llama.cpp's converter finds in a directory and its model card (gguf-py/gguf/metadata.py), but
// for what that guesses from names. A source that is a GGUF file says all of it itself.
func General(src *checkpoint.Source, parameters int64) (m gguf.Metadata, err error) {
	if source := src.GGUF(); source != nil {
		return passed(source, "general."), nil
	}
	add := func(key string, value any) { m = append(m, gguf.Pair{Key: "general." + key, Value: value}) }
	if m, err = sampling(src); err != nil {
		return nil, err
	}
	organisation, name, ok := strings.Cut(BaseModel(src.Path), "/")
	if !ok {
		organisation, name = "", organisation
	}
	add("name", title(name))
	add("size_label", sizeLabel(parameters))
	tags := []string{"mla", "mha2mla"}
	for _, line := range CardLines(src) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if key == "pipeline_tag" {
			tags = append(tags, value)
			continue
		}
		add(strings.Replace(key, "_", ".", 1), value)
	}
	add("base_model.count", uint32(1))
	add("base_model.0.name", title(name))
	if organisation != "" {
		add("base_model.0.organization", title(organisation))
		add("base_model.0.repo_url", "https://huggingface.co/"+organisation+"/"+name)
	}
	add("tags", tags)
	return m, nil
}

// sampling lists what generation_config.json says of how to draw tokens.
func sampling(src *checkpoint.Source) (m gguf.Metadata, err error) {
	var c struct {
		TopK       *int32   `json:"top_k"`
		TopP       *float32 `json:"top_p"`
		MinP       *float32 `json:"min_p"`
		Temp       *float32 `json:"temperature"`
		Repetition *float32 `json:"repetition_penalty"`
	}
	err = beside{src}.decode("generation_config.json", &c)
	if errors.As(err, new(*checkpoint.FormatError)) {
		return nil, nil // not every model has a sound one, and it decides nothing
	}
	if err != nil {
		return nil, err
	}
	if c.TopK != nil {
		m = append(m, gguf.Pair{Key: "general.sampling.top_k", Value: *c.TopK})
	}
	for _, p := range []struct {
		key   string
		value *float32
	}{{"top_p", c.TopP}, {"min_p", c.MinP}, {"temp", c.Temp}, {"penalty_repeat", c.Repetition}} {
		if p.value != nil {
			m = append(m, gguf.Pair{Key: "general.sampling." + p.key, Value: *p.value})
		}
	}
	return m, nil
}

// versions matches the words of a name that are no words (metadata.py, id_to_title).
var versions = regexp.MustCompile(`^(v\d+(\.\d+)*|\d.*)$`)

// title makes the name of a model of that of its folder. Words in lower case get capitals, at
// their beginning and behind whatever is no letter, as Python's str.title does.
func title(name string) string {
	words := strings.Fields(strings.ReplaceAll(name, "-", " "))
	for i, word := range words {
		if word != strings.ToLower(word) || word == strings.ToUpper(word) || versions.MatchString(word) {
			continue
		}
		before := ' '
		words[i] = strings.Map(func(r rune) rune {
			if !unicode.IsLetter(before) {
				r = unicode.ToTitle(r)
			}
			before = r
			return r
		}, word)
	}
	return strings.Join(words, " ")
}

// sizeLabel rounds a number of parameters to two digits or to a whole number of its unit
// (gguf-py/gguf/utility.py, model_weight_count_rounded_notation).
func sizeLabel(parameters int64) string {
	scaled, unit := float64(parameters)*1e-3, "K"
	for _, larger := range []struct {
		from float64
		unit string
	}{{1e6, "M"}, {1e9, "B"}, {1e12, "T"}} {
		if float64(parameters) > larger.from {
			scaled, unit = float64(parameters)/larger.from, larger.unit
		}
	}
	whole := strings.TrimLeft(strconv.FormatFloat(math.RoundToEven(scaled), 'f', 0, 64), "0")
	return fmt.Sprintf("%.*f%s", max(2-len(whole), 0), scaled, unit)
}
