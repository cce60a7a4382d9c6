package family

import (
	"fmt"
	"slices"
	"strings"
)

// Family is a kind of model that is known, by what configurations call it.
type Family struct {
	Type   string `json:"model_type"`
	Class  string `json:"class"`              // of Transformers, that runs it
	Models string `json:"models"`             // some that people have
	How    string `json:"what_becomes_of_it"` // of what is not canonical

	// read reads the configuration and says where the weights are kept. An error
	// other than UnsupportedError is about its content.
	read func(*fields, *Model) error
}

// Families lists the families that can be converted.
func Families() []Family {
	return []Family{llama, mistral, qwen2, qwen3, phi3, internlm2, granite, gemma}
}

// lookup finds a family by its model_type; nil if it is not known.
func lookup(kind string) *Family {
	all := append(Families(), deepseek)
	i := slices.IndexFunc(all, func(f Family) bool { return f.Type == kind })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// refusal says why models of a type that is not known cannot be converted.
func refusal(config *Config, kind, name string) error {
	for _, r := range Refusals() {
		if slices.Contains(r.Types, kind) {
			return &UnsupportedError{fmt.Sprintf("models of type %q (%q) cannot be converted: %s", kind, name, r.Why), r.Tip}
		}
	}
	if config.Has("kv_lora_rank") {
		return alreadyMLA(name)
	}
	var known []string
	for _, f := range Families() {
		known = append(known, f.Type)
	}
	return &UnsupportedError{fmt.Sprintf("models of type %q (%q) are not supported", kind, name), "supported: " + strings.Join(known, ", ") + "; see mha2mla families"}
}
