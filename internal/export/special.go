package export

import (
	"encoding/json"
	"slices"

	"github.com/mha2mla/mha2mla/internal/gguf"
	"github.com/mha2mla/mha2mla/internal/llamacpp"
)

// roles lists what tokens are for, by the names of Hugging Face and of llama.cpp, in the order of
// the latter's converter (gguf-py/gguf/vocab.py, SpecialVocab).
var roles = []struct{ name, key string }{
	{"bos", "bos"}, {"eos", "eos"}, {"unk", "unknown"}, {"sep", "seperator"}, {"pad", "padding"}, {"mask", "mask"},
}

// roleToken is the id of the token of a role, which has the name of llama.cpp.
type roleToken struct {
	key string
	id  uint32
}

// special lists the tokens of all roles that are known: those that tokenizer_config.json names,
// then those that config.json does.
func (v *vocabulary) special() (all []roleToken) {
	there := make(map[string]bool)
	add := func(key string, id int) {
		if id >= 0 && id < v.size && !there[key] {
			there[key] = true
			all = append(all, roleToken{key, uint32(id)})
		}
	}
	for _, role := range roles {
		if text := v.named(role.name); text != "" {
			add(role.key, slices.Index(v.tokens, text))
		}
	}
	for _, role := range roles {
		var id *int
		if json.Unmarshal(v.config[role.name+"_token_id"], &id) == nil && id != nil { // some models have several
			add(role.key, *id)
		}
	}
	return all
}

// tokenOf returns the token of a role; empty if there is none.
func (v *vocabulary) tokenOf(key string) string {
	for _, t := range v.special() {
		if t.key == key {
			return v.tokens[t.id]
		}
	}
	return ""
}

// named returns the token that tokenizer_config.json names for a role, as a string or as an
// object; empty if it names none.
func (v *vocabulary) named(role string) string {
	var token struct{ Content string }
	if json.Unmarshal(v.wishes[role+"_token"], &token) == nil {
		return token.Content
	}
	if json.Unmarshal(v.wishes[role+"_token"], &token.Content) == nil {
		return token.Content
	}
	return ""
}

// flags lists which tokens are added to every text: what the tokenizer does, then what
// tokenizer_config.json says of roles of which the tokenizer says nothing.
func (v *vocabulary) flags() []flag {
	all := slices.Clone(v.adds)
	for _, role := range roles {
		var add *bool
		if json.Unmarshal(v.wishes["add_"+role.name+"_token"], &add) != nil || add == nil {
			continue
		}
		if !slices.ContainsFunc(all, func(f flag) bool { return f.role == role.name }) {
			all = append(all, flag{role.name, *add})
		}
	}
	return slices.DeleteFunc(all, func(f flag) bool { return f.role != "bos" && f.role != "eos" && f.role != "sep" })
}

// maxTemplate is the size in bytes of the largest chat template that is read.
const maxTemplate = 16 << 20

// templates returns the templates of chats. That of tokenizer_config.json comes before the one
// in a file of its own. Where there are several, each has its name in its key, but the default.
func (v *vocabulary) templates() (m gguf.Metadata, err error) {
	wish := v.wishes["chat_template"]
	if wish == nil || string(wish) == "null" {
		text, _, err := v.files.Beside("chat_template.jinja", maxTemplate)
		if err == nil {
			return gguf.Metadata{{Key: llamacpp.KeyTemplate, Value: string(text)}}, nil
		}
		var alone struct {
			Template json.RawMessage `json:"chat_template"`
		}
		if err := v.files.decode("chat_template.json", &alone); err != nil {
			return nil, err
		}
		wish = alone.Template
	}
	var one string
	if json.Unmarshal(wish, &one) == nil {
		return gguf.Metadata{{Key: llamacpp.KeyTemplate, Value: one}}, nil
	}
	var several []struct{ Name, Template string }
	if json.Unmarshal(wish, &several) != nil {
		return nil, nil
	}
	for _, t := range several {
		key := llamacpp.KeyTemplate
		if t.Name != "default" {
			key += "." + t.Name
		}
		m = append(m, gguf.Pair{Key: key, Value: t.Template})
	}
	return m, nil
}
